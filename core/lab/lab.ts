// The lab itself: a substrate, its watchdogs, its services, its observer, and on each host whatever a host runs (understudy).
// It carries out faults and keeps the truth about power. Invariant: a change of a host's power is told to everybody who must
// know (watchdog, services, observer) before anything else happens to that host; two changes never run at once.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NodeId } from '../model/ids.js';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { systemClock } from '../system/clock.js';
import { generateKey } from '../system/key-file.js';
import { systemRandom } from '../system/random.js';
import { isKillable, type LabFault, parseFault } from './faults.js';
import { commandLineOf, environmentOf, pidsOf, signalPid } from './host-processes.js';
import { configText, type GroupOptions, labConfig } from './lab-config.js';
import { baseEnvironment, type Finished, runProcess, startProcess } from './lab-process.js';
import { LabServices } from './lab-services.js';
import { LoopbackSubstrate } from './loopback-substrate.js';
import { NetnsSubstrate } from './netns-substrate.js';
import { Observer, type ObserverReport } from './observer.js';
import { type Probe, startProbe } from './probe.js';
import type { FromProbe, ProbePlan } from './probe-process.js';
import type { Cut, HostFacts, Substrate } from './substrate.js';
import { clientAddress, clusterKey, configFile, dogSocket, hostOf, type LabHostPlan, type LabTopology } from './topology.js';
import { type Bite, startWatchdogs, type Watchdogs } from './watchdogs.js';

/** What happens in a lab, told as it happens. */
export type LabNews =
  | { readonly t: 'step'; readonly text: string }
  | { readonly t: 'power'; readonly node: NodeId; readonly on: boolean; readonly atMs: number; readonly because: string }
  | { readonly t: 'bite'; readonly bite: Bite }
  | { readonly t: 'trouble'; readonly text: string };

export interface LabStatus {
  /** The process that holds the lab. */
  readonly pid: number;
  readonly topology: LabTopology;
  readonly config: string;
  readonly hosts: readonly HostFacts[];
  /** Where clients find the first floating address. */
  readonly clientAddress: string;
  readonly routes: Readonly<Record<string, NodeId | null>>;
  readonly cuts: readonly Cut[];
  readonly services: readonly string[];
  readonly bites: readonly Bite[];
  readonly observer: ObserverReport | null;
}

export interface LabOptions extends GroupOptions {
  /** Hosts run nothing at power-on; else they run understudy, all of it. */
  readonly bare: boolean;
  /** The service that keeps the leases: `witness` (the default), `etcd`, `etcd:1`. */
  readonly arbiter?: string;
}

const OBSERVE_EVERY_MS = 20;
const APPLICATION = fileURLToPath(new URL('./app/counter.js', import.meta.url));
const UNDERSTUDY = fileURLToPath(new URL('../cli/bin.js', import.meta.url));

/** The argv of `understudy WORDS` as a host of the lab runs it. */
export const understudyOn = (
  { node, runDir, stateDir, logDir }: LabHostPlan,
  config: string,
  ...words: readonly string[]
): readonly string[] => [
  process.execPath,
  UNDERSTUDY,
  ...words,
  '--node',
  node,
  '--config',
  config,
  '--run-dir',
  runDir,
  '--state-dir',
  stateDir,
  '--log-dir',
  logDir,
];

/** What lets somebody logged in to the host type `understudy status`. */
const operatorEnvironment = (
  { node, runDir, stateDir, logDir }: LabHostPlan,
  config: string,
  programs: string,
): Record<string, string> => ({
  PATH: `${programs}:${baseEnvironment()['PATH']}`,
  UNDERSTUDY_NODE: node,
  UNDERSTUDY_CONFIG: config,
  UNDERSTUDY_RUN_DIR: runDir,
  UNDERSTUDY_STATE_DIR: stateDir,
  UNDERSTUDY_LOG_DIR: logDir,
});

export const substrateFor = (topology: LabTopology): Substrate =>
  topology.kind === 'netns' ? new NetnsSubstrate(topology) : new LoopbackSubstrate(topology);

export class Lab {
  readonly #services: LabServices;
  readonly #routes: Record<string, NodeId | null> = {};
  readonly #bites: Bite[] = [];
  #watchdogs: Watchdogs | null = null;
  #observer: Observer | null = null;
  /** Changes of power, one behind the other. */
  #power: Promise<unknown> = Promise.resolve();

  constructor(
    readonly substrate: Substrate,
    private readonly options: LabOptions,
    private readonly news: (news: LabNews) => void,
  ) {
    this.#services = new LabServices(
      substrate,
      {
        route: (address, node) => this.#route(address, node),
        power: (node, on) => this.power(node, on, 'a service of the lab was asked to'),
      },
      options.arbiter ?? 'witness',
    );
  }

  get topology(): LabTopology {
    return this.substrate.topology;
  }

  get config(): string {
    return configFile(this.topology);
  }

  /** Makes everything and powers all hosts on. On failure the caller takes it `down`. */
  async up(): Promise<void> {
    const { topology } = this;
    this.news({
      t: 'step',
      text:
        topology.kind === 'netns'
          ? 'router, switches and client as network namespaces'
          : `addresses of 127.${topology.number}.0.0/16 and a forwarding router`,
    });
    await this.substrate.up();
    mkdirSync(join(topology.directory, 'services'), { recursive: true, mode: 0o700 });
    mkdirSync(this.#programs, { mode: 0o700 });
    writeFileSync(join(this.#programs, 'understudy'), `#!/bin/sh\nexec '${process.execPath}' '${UNDERSTUDY}' "$@"\n`, { mode: 0o700 });
    writeFileSync(clusterKey(topology), generateKey(systemRandom), { mode: 0o400 });
    const handles = topology.hosts.map(({ node }) => ({ node, handle: this.substrate.handle(node) }));
    const logFile = join(topology.directory, 'lab.log');
    this.#watchdogs = await startWatchdogs(
      topology.id,
      handles.map((host) => ({ ...host, socket: dogSocket(topology, host.node) })),
      logFile,
      (bite) => this.#bitten(bite),
      (text) => this.news({ t: 'trouble', text }),
    );
    this.#observer = new Observer(
      topology.id,
      { hosts: handles, floating: topology.floating, everyMs: OBSERVE_EVERY_MS, application: 'lab/app/' },
      logFile,
    );
    await this.#services.start();
    this.news({ t: 'step', text: `services beside the router: ${this.#services.names.join(', ') || 'none'}` });
    writeFileSync(this.config, configText(labConfig(topology, this.#services.configs, this.options, [process.execPath, APPLICATION])), {
      mode: 0o600,
    });
    for (const { node } of topology.hosts) await this.power(node, true, 'the lab comes up');
  }

  async down(): Promise<void> {
    await this.#power.catch((thrown: unknown) => this.news({ t: 'trouble', text: reasonOf(thrown) }));
    await this.#observer?.stop();
    await this.substrate.down();
  }

  /** Resolves when the host is off, or on and its program started. Nothing happens when it already is. */
  power(node: NodeId, on: boolean, because: string): Promise<void> {
    const next = this.#power.then(() => (on ? this.#powerOn(node, because) : this.#powerOff(node, because)));
    // The next change waits for this one, whatever became of it; the caller hears of a failure.
    this.#power = next.catch(() => undefined);
    return next;
  }

  /** Carries out the words of `understudy lab fault`; answers with what was done. */
  async fault(words: readonly string[]): Promise<string> {
    return this.#carryOut(parseFault(words, this.topology, this.#services.names));
  }

  /** Runs a command on a host, where `understudy` is on the PATH and finds that host's daemon by itself. */
  run(node: NodeId, argv: readonly string[], timeoutMs: number): Promise<Finished> {
    const command = this.substrate.inHost(node, argv);
    return runProcess(
      { ...command, env: { ...command.env, ...operatorEnvironment(hostOf(this.topology, node), this.config, this.#programs) } },
      timeoutMs,
    );
  }

  get #programs(): string {
    return join(this.topology.directory, 'bin');
  }

  probe(plan: Omit<ProbePlan, 'address'>, onMessage?: (message: FromProbe) => void): Probe {
    const address = clientAddress(this.topology, this.topology.floating[0] ?? '');
    return startProbe(this.substrate, { ...plan, address }, join(this.topology.directory, 'probe.log'), onMessage);
  }

  async status(): Promise<LabStatus> {
    const hosts: HostFacts[] = [];
    for (const { node } of this.topology.hosts) hosts.push(await this.substrate.facts(node));
    return {
      pid: process.pid,
      topology: this.topology,
      config: this.config,
      hosts,
      clientAddress: clientAddress(this.topology, this.topology.floating[0] ?? ''),
      routes: { ...this.#routes },
      cuts: this.substrate.cuts,
      services: this.#services.names,
      bites: [...this.#bites],
      observer: this.#observer?.report ?? null,
    };
  }

  serviceState(): Promise<unknown> {
    return this.#services.state();
  }

  async #route(address: string, node: NodeId | null): Promise<void> {
    await this.substrate.route(address, node);
    this.#routes[address] = node;
  }

  async #powerOn(node: NodeId, because: string): Promise<void> {
    if (this.substrate.isOn(node)) return;
    await this.substrate.powerOn(node);
    this.#watchdogs?.reset(node);
    this.#observer?.addresses(node, this.substrate.addressSource(node));
    this.#services.powered(node, true);
    const host = this.topology.hosts.find((each) => each.node === node);
    if (host && !this.options.bare)
      startProcess(this.substrate.inHost(node, understudyOn(host, this.config, 'run')), { logFile: join(host.logDir, 'run.log') });
    this.news({ t: 'power', node, on: true, atMs: systemClock.nowMs(), because });
  }

  async #powerOff(node: NodeId, because: string): Promise<void> {
    if (!this.substrate.isOn(node)) return;
    const atMs = await this.substrate.powerOff(node);
    this.#watchdogs?.reset(node);
    this.#observer?.addresses(node, null);
    this.#services.powered(node, false);
    this.news({ t: 'power', node, on: false, atMs, because });
  }

  /** The watchdog has killed the host already; what is left is to let everybody know. */
  #bitten(bite: Bite): void {
    this.#bites.push(bite);
    this.news({ t: 'bite', bite });
    this.power(bite.node, false, `its watchdog was not petted for ${bite.timeoutMs} ms`).catch((thrown: unknown) =>
      this.news({ t: 'trouble', text: reasonOf(thrown) }),
    );
  }

  async #carryOut(fault: LabFault): Promise<string> {
    switch (fault.kind) {
      case 'power-off':
        await this.power(fault.node, false, 'a fault was ordered');
        return `${fault.node} is off`;
      case 'power-on':
        await this.power(fault.node, true, 'a fault was ordered');
        return `${fault.node} is on`;
      case 'reset':
        await this.power(fault.node, false, 'a reset was ordered');
        await this.power(fault.node, true, 'a reset was ordered');
        return `${fault.node} was off and is on`;
      case 'pause':
        await this.substrate.pause(fault.node);
        return `every process of ${fault.node} stands still`;
      case 'resume':
        await this.substrate.resume(fault.node);
        return `every process of ${fault.node} goes on`;
      case 'cut':
        await this.substrate.cut(fault.cut);
        return `${fault.cut.node} is cut off ${fault.cut.network} (${fault.cut.direction})`;
      case 'heal':
        await this.substrate.heal(fault.node ?? undefined, fault.network ?? undefined);
        return `healed ${fault.network ?? 'all networks'} of ${fault.node ?? 'all hosts'}`;
      case 'kill':
        return this.#kill(fault);
      case 'delete-address':
        await this.substrate.deleteAddress(fault.node, fault.address);
        return `${fault.address} deleted on ${fault.node}`;
      case 'service':
        return `${fault.service}: ${await this.#services.fault(fault.service, fault.words)}`;
    }
  }

  /** All at one moment: none of them may see another's death and answer it. */
  #kill({ node, what }: Extract<LabFault, { kind: 'kill' }>): string {
    const found = pidsOf(this.substrate.handle(node)).filter((pid) =>
      what.some((each) => isKillable(each, commandLineOf(pid) ?? [], environmentOf(pid) ?? '')),
    );
    if (found.length === 0)
      throw new UnderstudyError('NOT_FOUND', `no ${what.join(' or ')} runs on ${node}`, { hint: 'See understudy lab status.' });
    for (const pid of found) signalPid(pid, 'SIGKILL');
    return `killed ${what.join(', ')} on ${node}: ${found.join(' ')}`;
  }
}
