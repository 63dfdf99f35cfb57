// Hosts as addresses of 127.0.0.0/8, for people without root: Linux binds all of it without set-up. A host's processes are
// those that carry its mark in their environment; its OS addresses are lines of a table file; a process of the lab forwards
// floating addresses by the routes. What it cannot show is said: cables cannot be cut without root.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NodeId } from '../model/ids.js';
import { UnderstudyError } from '../errors/errors.js';
import { writeAtomicSync } from '../system/atomic-file.js';
import { makeHostDirectories } from './host-directories.js';
import { blackout, HOST_MARK, killLab, LAB_MARK, type MarkHandle, pidsOf, signalAll } from './host-processes.js';
import { type LabProcess, lastWords, startProcess } from './lab-process.js';
import { readyWithin, type Ready } from './ready.js';
import type { FromRouter, RouterPlan, ToRouter } from './router-process.js';
import type { AddressSource, Command, Cut, HostFacts, Substrate } from './substrate.js';
import { addressTable, clientAddress, hostOf, type LabTopology } from './topology.js';

const START_LIMIT_MS = 10_000;

export class LoopbackSubstrate implements Substrate {
  readonly cuts: readonly Cut[] = [];
  readonly #on = new Set<NodeId>();
  #router: LabProcess | null = null;
  #asked = 0;
  readonly #waiting = new Map<number, Ready<void>>();

  constructor(readonly topology: LabTopology) {
    if (process.platform !== 'linux')
      throw new UnderstudyError(
        'LAB_FAILED',
        `could not make the lab: the loopback substrate needs Linux, and this is ${process.platform}`,
        { hint: 'Run it in a Linux virtual machine or container.' },
      );
  }

  async up(): Promise<void> {
    killLab(this.topology.id);
    rmSync(join(this.topology.directory, 'addresses'), { recursive: true, force: true });
    mkdirSync(join(this.topology.directory, 'addresses'), { recursive: true, mode: 0o700 });
    await this.#startRouter();
  }

  async down(): Promise<void> {
    killLab(this.topology.id);
    await this.#router?.exited;
    this.#router = null;
    this.#on.clear();
    rmSync(this.topology.directory, { recursive: true, force: true });
  }

  async powerOn(node: NodeId): Promise<void> {
    if (this.isOn(node)) return;
    makeHostDirectories(hostOf(this.topology, node));
    this.#on.add(node);
    await this.#tellRouter({ t: 'power', id: 0, node, on: true });
  }

  /** First the router forgets the host, so that no client hears a farewell; then everything stands still and is killed. */
  async powerOff(node: NodeId): Promise<number> {
    hostOf(this.topology, node);
    if (this.#on.delete(node)) await this.#tellRouter({ t: 'power', id: 0, node, on: false });
    return blackout(this.handle(node));
  }

  isOn(node: NodeId): boolean {
    return this.#on.has(node);
  }

  handle(node: NodeId): MarkHandle {
    const { runDir } = hostOf(this.topology, node);
    return { kind: 'mark', mark: `${HOST_MARK}=${this.topology.id}/${node}`, volatile: [runDir, addressTable(this.topology, node)] };
  }

  addressSource(node: NodeId): AddressSource | null {
    return this.isOn(node) ? { kind: 'table', path: addressTable(this.topology, node) } : null;
  }

  inHost(node: NodeId, argv: readonly string[]): Command {
    if (!this.isOn(node))
      throw new UnderstudyError('LAB_FAILED', `could not run ${argv[0]} on ${node}: the host is off`, {
        hint: `understudy lab fault power-on ${node}`,
      });
    // Without `none` root would put applications into cgroups, which this substrate does not look into.
    return { argv, env: { [LAB_MARK]: this.topology.id, [HOST_MARK]: `${this.topology.id}/${node}`, UNDERSTUDY_CGROUP: 'none' } };
  }

  inClient(argv: readonly string[]): Command {
    return { argv, env: { [LAB_MARK]: this.topology.id } };
  }

  inRouter(argv: readonly string[]): Command {
    return this.inClient(argv);
  }

  async cut(cut: Cut): Promise<void> {
    throw new UnderstudyError(
      'LAB_FAILED',
      `could not cut ${cut.network} of ${cut.node}: network cuts need root and are shown in the netns substrate`,
      {
        hint: 'Run the lab as root on Linux: sudo understudy lab up --substrate netns',
      },
    );
  }

  /** Nothing is ever cut here. */
  async heal(): Promise<void> {}

  async route(address: string, node: NodeId | null): Promise<void> {
    await this.#tellRouter({ t: 'route', id: 0, address, node });
  }

  async pause(node: NodeId): Promise<void> {
    signalAll(this.handle(node), 'SIGSTOP');
  }

  async resume(node: NodeId): Promise<void> {
    signalAll(this.handle(node), 'SIGCONT');
  }

  async facts(node: NodeId): Promise<HostFacts> {
    const addresses = this.#table(node).map((line) => line.split(' ')[1] ?? '');
    return { node, power: this.isOn(node), pids: pidsOf(this.handle(node)), addresses };
  }

  async deleteAddress(node: NodeId, address: string): Promise<void> {
    const lines = this.#table(node);
    const kept = lines.filter((line) => line.split(' ')[1] !== address);
    if (kept.length === lines.length)
      throw new UnderstudyError('NOT_FOUND', `host ${node} has no address ${address}`, { hint: 'See understudy lab status.' });
    writeAtomicSync(addressTable(this.topology, node), kept.map((line) => `${line}\n`).join(''), { fsync: false, mode: 0o644 });
  }

  #table(node: NodeId): string[] {
    const file = addressTable(this.topology, hostOf(this.topology, node).node);
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  }

  async #startRouter(): Promise<void> {
    const { topology } = this;
    const plan: RouterPlan = {
      hosts: topology.hosts.map(({ node, addresses }) => ({ node, address: addresses.service, table: addressTable(topology, node) })),
      floating: topology.floating.map((address) => ({ address, listen: clientAddress(topology, address) })),
      ports: topology.ports,
    };
    const logFile = join(topology.directory, 'router.log');
    mkdirSync(dirname(logFile), { recursive: true });
    const ready = readyWithin(START_LIMIT_MS, 'the router of the lab');
    const onMessage = (received: unknown): void => {
      const message = received as FromRouter;
      if (message.t === 'ready') ready.resolve();
      else if (message.t === 'done') this.#waiting.get(message.id)?.resolve();
      else
        ready.reject(
          new UnderstudyError('LAB_FAILED', `the router of the lab could not listen: ${message.why}`, {
            hint: 'Another lab may use the address: choose another --number.',
          }),
        );
    };
    const script = fileURLToPath(new URL('./router-process.js', import.meta.url));
    const router = startProcess(this.inRouter([process.execPath, script, JSON.stringify(plan)]), { logFile, ipc: true, onMessage });
    this.#router = router;
    void router.exited.then(() => ready.reject(new UnderstudyError('LAB_FAILED', `the router of the lab ended: ${lastWords(logFile)}`)));
    await ready.promise;
  }

  async #tellRouter(message: ToRouter): Promise<void> {
    const id = ++this.#asked;
    const done = readyWithin(START_LIMIT_MS, 'an answer of the lab’s router');
    this.#waiting.set(id, done);
    try {
      if (!this.#router?.send({ ...message, id })) throw new UnderstudyError('LAB_FAILED', 'the router of the lab is not running');
      await done.promise;
    } finally {
      this.#waiting.delete(id);
      done.resolve();
    }
  }
}
