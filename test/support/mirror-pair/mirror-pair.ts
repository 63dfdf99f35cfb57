// Two real mirror processes of one volume, between loopback addresses, for drills of the data path without a cluster: begun, killed,
// frozen, promoted and asked. Arbiter and guards are the test's own record (pair-record.ts). Invariant: every wait has a
// deadline and says what was last seen; the processes end with the test.
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reasonOf, systemClock } from 'understudy/plugin';
import { systemLocalSockets } from '../../../core/system/framed-socket.js';
import { type ControlClientOptions, order, viewVolume } from '../../../plugins/disk-mirror/process/control-client.js';
import { controlSocket, resourceRunDir, serviceSocket } from '../../../plugins/disk-mirror/process/places.js';
import type { Order, VolumeView } from '../../../plugins/disk-mirror/process/protocol.js';
import { NbdClient } from '../nbd-client.js';
import { makeCopies } from '../new-copies.js';
import { PairRecord } from './pair-record.js';
import { CLUSTER, type FromHost, GROUP, type HostPlan, RESOURCE, type ToHost } from './protocol.js';

export type NodeName = 'a' | 'b';
export const otherOf = (node: NodeName): NodeName => (node === 'a' ? 'b' : 'a');

interface Place {
  readonly backing: string;
  readonly metadata: string;
}

export interface PairOptions {
  readonly sizeBytes?: number;
  /** Of the resource. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Where a node's copy lies; default: in the pair's directory. */
  readonly places?: Partial<Record<NodeName, Place>>;
  /** Called with the pair's directory before any copy is made. */
  readonly prepare?: (directory: string) => void;
}

const HOST = fileURLToPath(new URL('volume-host.js', import.meta.url));
const PORT = 4480;
const LOOK_MS = 5;

export class MirrorPair {
  readonly directory = mkdtempSync(join(tmpdir(), 'understudy-pair-'));
  readonly record: PairRecord;
  readonly journal: { readonly node: NodeName; readonly kind: string; readonly because: string }[] = [];
  readonly alarms = new Map<string, string>();
  readonly #options: PairOptions;
  /** A network of its own for each pair: tests run beside each other. */
  readonly #net = `127.${randomInt(16, 250)}.${randomInt(1, 250)}`;
  readonly #children: Partial<Record<NodeName, ChildProcess>> = {};
  readonly #logs: string[] = [];
  readonly #boots: Record<NodeName, string> = { a: 'boot-a-1', b: 'boot-b-1' };

  private constructor(options: PairOptions) {
    this.#options = options;
    this.record = new PairRecord({ a: join(this.directory, 'a'), b: join(this.directory, 'b') }, this.#boots);
  }

  /** Both processes run, `a` serves, and both copies are one. */
  static async start(t: { teardown(end: () => void): void; log(line: string): void }, options: PairOptions = {}): Promise<MirrorPair> {
    const pair = new MirrorPair(options);
    t.teardown(() => pair.end());
    for (const node of ['a', 'b']) mkdirSync(join(pair.directory, node), { recursive: true, mode: 0o700 });
    options.prepare?.(pair.directory);
    const identity = { cluster: CLUSTER, group: GROUP, volume: RESOURCE, sizeBytes: options.sizeBytes ?? 16 * 1024 * 1024 };
    await makeCopies(identity, [
      { node: 'a', peer: 'b', ...pair.place('a') },
      { node: 'b', peer: 'a', ...pair.place('b') },
    ]);
    pair.record.acquire('a');
    pair.record.restore('b');
    await Promise.all([pair.boot('a'), pair.boot('b')]);
    await pair.promote('a', 1);
    await pair.whole('a');
    return pair;
  }

  place(node: NodeName): Place {
    return (
      this.#options.places?.[node] ?? {
        backing: join(this.directory, node, 'data.img'),
        metadata: join(this.directory, node, 'data.metadata'),
      }
    );
  }

  address(node: NodeName): string {
    return `${this.#net}.${node === 'a' ? 1 : 2}`;
  }

  get port(): number {
    return PORT;
  }

  pid(node: NodeName): number {
    const pid = this.#children[node]?.pid;
    if (pid === undefined) throw new Error(`the process of ${node} does not run`);
    return pid;
  }

  /** Begins the process of a node and waits until it answers. `newBoot`: the host was off meanwhile. */
  async boot(node: NodeName, newBoot = false): Promise<void> {
    if (newBoot) {
      this.#boots[node] = `boot-${node}-${randomBytes(3).toString('hex')}`;
      rmSync(join(this.directory, node, 'run'), { recursive: true, force: true });
      this.record.booted(node, this.#boots[node]);
    }
    const peer = otherOf(node);
    const plan: HostPlan = {
      node,
      peer,
      bootId: this.#boots[node],
      address: this.address(node),
      peerAddress: this.address(peer),
      port: PORT,
      directory: join(this.directory, node),
      options: { ...this.#options.options, ...this.place(node) },
    };
    const child = fork(HOST, [JSON.stringify(plan)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#children[node] = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#logs.push(`${node}: ${text.trimEnd()}`));
    const ready = new Promise<void>((resolve, reject) => {
      child.on('message', (message: FromHost) => {
        if (message.t === 'ready') resolve();
        else this.#told(node, child, message);
      });
      child.on('exit', (code, signal) => {
        if (this.#children[node] === child) delete this.#children[node];
        reject(new Error(`the process of ${node} ended with ${code ?? signal}`));
      });
    });
    await within(`the process of ${node} is ready`, 30_000, ready, () => this.tail());
  }

  /** SIGKILL, and waits for its end. */
  async kill(node: NodeName): Promise<void> {
    const child = this.#children[node];
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGKILL');
    await within(`the end of the process of ${node}`, 10_000, ended, () => this.tail());
  }

  signal(node: NodeName, signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid(node), signal);
  }

  promote(node: NodeName, epoch: number, force = false): Promise<unknown> {
    return this.order(node, { do: 'promote', epoch, force });
  }

  /** What a controller does after a takeover. */
  async takeOver(node: NodeName): Promise<void> {
    await this.promote(node, this.record.acquire(node));
  }

  order(node: NodeName, what: Order, limitMs = 30_000): Promise<unknown> {
    return order(this.#control(node), what, limitMs);
  }

  view(node: NodeName): Promise<VolumeView> {
    return viewVolume(this.#control(node), 5_000);
  }

  client(node: NodeName): Promise<NbdClient> {
    return NbdClient.open(serviceSocket(this.#runDir(node)), 10_000);
  }

  /** Waits until a node's view is as wished; while its process cannot be asked it has none. */
  async until(what: string, node: NodeName, wish: (view: VolumeView) => boolean, limitMs = 30_000): Promise<VolumeView> {
    let last = 'no view';
    for (const endMs = systemClock.nowMs() + limitMs; ; await systemClock.sleep(LOOK_MS)) {
      try {
        const view = await this.view(node);
        if (wish(view)) return view;
        last = JSON.stringify(view);
      } catch (error) {
        last = reasonOf(error);
      }
      if (systemClock.nowMs() > endMs) throw new Error(`not within ${limitMs} ms: ${what}; last seen: ${last}\n${this.tail()}`);
    }
  }

  /** It serves, both copies are one, and the record says so. */
  whole(node: NodeName, limitMs = 30_000): Promise<VolumeView> {
    const peer = otherOf(node);
    return this.until(
      `${node} serves and both copies are one`,
      node,
      ({ serving, connection, resync, suspended }) =>
        serving && connection === 'connected' && resync === null && suspended === null && this.record.isInSync(peer),
      limitMs,
    );
  }

  /** Everything flushed and said; nobody serves. Then both images are the same bytes, or this throws. */
  async equalAtRest(node: NodeName): Promise<void> {
    await this.whole(node);
    await this.order(node, { do: 'demote' });
    this.record.release();
    for (const each of ['a', 'b'] as const)
      await this.until(`${each} is clean`, each, ({ role, dirtyChunks }) => role === 'secondary' && dirtyChunks === 0);
    const [a, b] = [readFileSync(this.place('a').backing), readFileSync(this.place('b').backing)];
    if (!a.equals(b)) throw new Error(`the copies differ from byte ${a.findIndex((byte, at) => byte !== b[at])} on\n${this.tail()}`);
  }

  /** The last that both told, for failures. */
  tail(): string {
    return this.#logs.slice(-60).join('\n');
  }

  end(): void {
    for (const child of Object.values(this.#children)) child?.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  #told(node: NodeName, child: ChildProcess, message: FromHost): void {
    const atMs = systemClock.nowMs();
    if (message.t !== 'alarm' || message.sentence !== null) this.#logs.push(`${Math.round(atMs)} ${node}: ${JSON.stringify(message)}`);
    if (message.t === 'journal') this.journal.push({ node, kind: message.kind, because: message.because });
    if (message.t === 'alarm') {
      const subject = `${node} ${message.subject}`;
      if (message.sentence === null) this.alarms.delete(subject);
      else this.alarms.set(subject, message.sentence);
    }
    if (message.t !== 'in-sync') return;
    const answer = this.record.change(node, message.change, message.peer, message.bootId, message.epoch, atMs);
    this.#logs.push(`record: ${JSON.stringify(answer)}, in sync: ${this.record.inSync.join(' ')}`);
    if (child.connected) child.send({ id: message.id, answer } satisfies ToHost);
  }

  #runDir(node: NodeName): string {
    return resourceRunDir(join(this.directory, node, 'run'), GROUP, RESOURCE);
  }

  #control(node: NodeName): ControlClientOptions {
    return {
      sockets: systemLocalSockets,
      clock: systemClock,
      path: controlSocket(this.#runDir(node)),
      volume: `${node}:${GROUP}/${RESOURCE}`,
    };
  }
}

const within = async <T>(what: string, limitMs: number, promise: Promise<T>, more: () => string): Promise<T> => {
  let timer: { cancel(): void } | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = systemClock.after(limitMs, () => reject(new Error(`not within ${limitMs} ms: ${what}\n${more()}`)));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    (timer as { cancel(): void } | null)?.cancel();
  }
};
