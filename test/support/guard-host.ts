// Two or more guards in one process, for tests: real run directories and sockets, a clock moved by hand, a store in memory,
// heartbeats over a bus that can be cut, a watchdog and a hard stop that remember what was asked of them.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterConfig } from '../../core/config/cluster-config.js';
import { GuardClient } from '../../core/guard/client.js';
import type { HardStop, StopResult } from '../../core/guard/hard-stop.js';
import { type GuardHandle, type GuardOptions, runGuard } from '../../core/guard/run-guard.js';
import { type Watchdog, noWatchdog } from '../../core/guard/watchdog.js';
import type { BeatGroup, Heartbeats, MembershipChange, Message, Received } from '../../core/membership/contract.js';
import type { NewEvent } from '../../core/model/event.js';
import type { LeaseView, PeerView, Will } from '../../core/model/lease.js';
import type { Timing } from '../../core/model/timing.js';
import { decodePage } from '../../core/ownership/page-codec.js';
import type { LeasePage } from '../../core/ownership/page.js';
import { MemoryArbiter, MemoryStore } from '../../core/plugin/testkit/memory-arbiter.js';
import { systemFiles } from '../../core/system/files-system.js';
import { systemLocalSockets } from '../../core/system/framed-socket.js';
import { type Paths, guardSocket, leasePage } from '../../core/system/paths.js';
import { FakeClock } from './fake-clock.js';
import { LAN } from './lease-world.js';

export interface ClusterOptions {
  readonly takeover?: 'lease' | 'preempt';
  readonly confirm?: 'renewal' | 'none';
  readonly timing?: Partial<Timing>;
  readonly watchdog?: boolean;
  readonly groups?: readonly string[];
  readonly follow?: boolean;
  /** The groups have a mirror. */
  readonly mirrored?: boolean;
}

/** What all hosts share. */
export class TestCluster {
  readonly clock = new FakeClock();
  readonly store = new MemoryStore();
  readonly bus = new Bus(this.clock);
  readonly directory = mkdtempSync(join(tmpdir(), 'understudy-guard-'));
  readonly hosts: TestHost[] = [];

  constructor(readonly options: ClusterOptions = {}) {}

  async host(node: string): Promise<TestHost> {
    const host = new TestHost(this, node);
    this.hosts.push(host);
    await host.startGuard();
    await host.startController();
    return host;
  }

  /** Lets time pass in small steps, sockets and promises served between them, wills said every 200 ms. */
  async pass(ms: number, stepMs = 10): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      if (passed % 200 === 0) for (const host of this.hosts) host.say();
      await this.clock.advanceAsync(stepMs);
    }
  }

  /** Serves sockets and promises while time stands still, until it is so; fails after ten seconds of real time or more. */
  async until(what: string, so: () => boolean): Promise<void> {
    for (let turns = 0; !so(); turns += 1) {
      if (turns > 10_000) throw new Error(`never came true: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async end(): Promise<void> {
    for (const host of this.hosts) await host.end();
    rmSync(this.directory, { recursive: true, force: true });
  }

  config(): ClusterConfig {
    const { takeover = 'lease', confirm = 'renewal', timing = {}, watchdog = true, groups = ['g'] } = this.options;
    const window = { max: 3, withinMs: 600_000 };
    return {
      cluster: 'test',
      file: 'test.yaml',
      keyFile: '/dev/null',
      nodes: ['a', 'b'].map((id) => ({ id, zone: null, networks: { service: null, heartbeat: ['127.0.0.1'], mirror: [] } })),
      arbiter: { use: 'memory', options: {} },
      fencing: { policy: 'watchdog', unsafe: false, levels: [], delay: { standbyMs: 20_000, randomMs: 10_000 } },
      timing: { ...LAN, ...timing },
      failsafe: { peerLost: 'stop', arbiterLossMoveMs: 60_000 },
      ports: { heartbeat: 1, link: 2, witness: 3, api: 4, mirror: 5 },
      watchdog: watchdog ? { driver: 'socket', path: 'test' } : { driver: 'none' },
      addresses: { kind: 'system' },
      plugins: [],
      settings: {},
      cfgHash: 'cfg',
      groups: groups.map((id) => ({
        id,
        prefer: ['a', 'b'],
        failback: 'never',
        takeover,
        confirm,
        failover: window,
        resources: [],
        hooks: [],
      })),
    };
  }
}

export class TestHost {
  readonly paths: Paths;
  readonly arbiter: MemoryArbiter;
  readonly dog: TestDog;
  readonly stop = new TestHardStop();
  readonly events: (NewEvent & { atMs: number })[] = [];
  readonly ended: number[] = [];
  readonly resets: string[] = [];
  will: Partial<Will> = {};
  /** Whether the controller says anything at all. */
  talks = true;
  boot = 1;
  guard: GuardHandle | null = null;
  client: GuardClient | null = null;
  #heartbeats: BusHeartbeats | null = null;

  constructor(
    readonly cluster: TestCluster,
    readonly node: string,
  ) {
    const base = join(cluster.directory, node);
    this.paths = { run: join(base, 'run'), state: join(base, 'state'), log: join(base, 'log') };
    mkdirSync(this.paths.run, { recursive: true });
    this.arbiter = new MemoryArbiter({ clock: cluster.clock, store: cluster.store, follow: cluster.options.follow ?? false });
    this.dog = new TestDog(cluster.clock);
  }

  async startGuard(change: Partial<GuardOptions> = {}): Promise<void> {
    const { cluster, node, paths, arbiter, dog } = this;
    this.#heartbeats = new BusHeartbeats(cluster.bus, node, `${node}-boot${this.boot}`);
    let randoms = 0;
    this.guard = await runGuard({
      files: systemFiles,
      sockets: systemLocalSockets,
      config: cluster.config(),
      node,
      bootId: `${node}-boot${this.boot}`,
      paths,
      arbiter,
      heartbeats: this.#heartbeats,
      clock: cluster.clock,
      random: { next: () => 0.5, hex: () => `${node}${cluster.clock.nowMs()}${(randoms += 1)}` },
      journal: {
        write: (event) => void this.events.push({ ...event, atMs: cluster.clock.nowMs() }),
        sync: () => Promise.resolve(),
        close: () => Promise.resolve(),
      },
      watchdog: (cluster.options.watchdog ?? true) ? dog : noWatchdog,
      hardStop: this.stop,
      bootOffsetMs: () => 0,
      endProcess: ({ pid }) => this.ended.push(pid) > 0,
      resetHost: (because) => void this.resets.push(because),
      needsLeash: false,
      mirrored: cluster.options.mirrored === true ? (cluster.options.groups ?? ['g']) : [],
      ...change,
    });
  }

  async startController(pid = 4_242): Promise<void> {
    const client = new GuardClient({
      sockets: systemLocalSockets,
      path: guardSocket(this.paths),
      clock: this.cluster.clock,
      role: 'controller',
      pid,
      startTime: '1',
    });
    this.client = client;
    client.start();
    await this.cluster.until(`${this.node}: the controller hears its guard`, () => client.view() !== null);
    this.say();
    await this.cluster.clock.settle();
  }

  say(): void {
    if (!this.talks || this.guard === null) return;
    const groups = this.cluster.options.groups ?? ['g'];
    const will: Omit<Will, 'group'> = {
      want: 'hold',
      rank: this.node === 'a' ? 0 : 1,
      blockers: [],
      preemptOk: true,
      successor: null,
      because: 'test',
      ...this.will,
    };
    this.client?.sendWills(
      groups.map((group) => ({ ...will, group })),
      0,
    );
  }

  /** Ends the guard as kill -9 would: nothing is said, nothing is written. */
  async killGuard(): Promise<void> {
    const { guard } = this;
    this.guard = null;
    this.#heartbeats?.cut();
    await guard?.stop();
  }

  async powerOff(): Promise<void> {
    this.client?.close();
    await this.killGuard();
    this.dog.power();
    rmSync(this.paths.run, { recursive: true, force: true });
  }

  async powerOn(): Promise<void> {
    this.boot += 1;
    mkdirSync(this.paths.run, { recursive: true });
    await this.startGuard();
    await this.startController();
  }

  async end(): Promise<void> {
    this.client?.close();
    await this.guard?.stop();
  }

  get lease(): LeaseView {
    const lease = this.guard?.view().leases[0];
    if (lease === undefined) throw new Error(`${this.node} has no guard`);
    return lease;
  }

  page(group = 'g'): LeasePage | null {
    return decodePage(readFileSync(leasePage(this.paths, group)));
  }

  event(kind: string): (NewEvent & { atMs: number }) | undefined {
    return this.events.findLast((event) => event.kind === kind);
  }

  /** Something of the group has been started here. */
  writeHardStopList(): void {
    mkdirSync(join(this.paths.run, 'hardstop'), { recursive: true });
    writeFileSync(join(this.paths.run, 'hardstop', 'g'), 'cgroup /nowhere\n');
  }
}

/** Remembers what it was asked; answers what the test says. */
class TestHardStop implements HardStop {
  readonly calls: string[] = [];
  result: StopResult = { verified: true, because: 'the test says so' };

  stop(group: string): Promise<StopResult> {
    this.calls.push(`stop ${group}`);
    return Promise.resolve(this.result);
  }

  verify(group: string): Promise<StopResult> {
    this.calls.push(`verify ${group}`);
    return Promise.resolve(this.result);
  }
}

/** A watchdog that bites in fake time. */
export class TestDog implements Watchdog {
  readonly driver = 'test';
  readonly present = true;
  armedWithMs: number | null = null;
  pettedMs = Number.NEGATIVE_INFINITY;
  pets = 0;
  broken: string | null = null;

  constructor(readonly clock: FakeClock) {}

  get bitten(): boolean {
    return this.armedWithMs !== null && this.clock.nowMs() >= this.pettedMs + this.armedWithMs;
  }

  async arm(timeoutMs: number): Promise<void> {
    this.#work();
    this.armedWithMs = timeoutMs;
    this.pettedMs = this.clock.nowMs();
  }

  async pet(): Promise<number> {
    this.#work();
    const ageMs = this.clock.nowMs() - this.pettedMs;
    this.pettedMs = this.clock.nowMs();
    this.pets += 1;
    return ageMs;
  }

  async disarm(): Promise<void> {
    this.#work();
    this.armedWithMs = null;
  }

  power(): void {
    this.armedWithMs = null;
  }

  close(): void {}

  #work(): void {
    if (this.broken !== null) throw new Error(this.broken);
  }
}

/** The wire between guards. */
class Bus {
  readonly ends = new Set<BusHeartbeats>();
  /** Directions in which nothing passes: `b>a`. */
  readonly deaf = new Set<string>();

  constructor(readonly clock: FakeClock) {}
}

class BusHeartbeats implements Heartbeats {
  readonly #received: ((received: Received) => void)[] = [];
  readonly #changes: ((change: MembershipChange) => void)[] = [];
  readonly #heard = new Map<string, { bootId: string; sinceMs: number; lastMs: number; state: PeerView['state'] }>();
  #describe: () => { cfgHash: string; groups: readonly BeatGroup[] } = () => ({ cfgHash: '', groups: [] });
  #end: (() => void)[] = [];
  #looks = 0;

  constructor(
    readonly bus: Bus,
    readonly node: string,
    readonly bootId: string,
  ) {}

  async start(): Promise<void> {
    this.bus.ends.add(this);
    const beat = this.bus.clock.every(LAN.heartbeatMs, () => this.beatNow());
    const look = this.bus.clock.every(10, () => this.#look());
    this.#end = [() => beat.cancel(), () => look.cancel()];
    this.beatNow();
  }

  /** No packet in or out any more. */
  cut(): void {
    for (const end of this.#end) end();
    this.bus.ends.delete(this);
  }

  async stop(): Promise<void> {
    this.cut();
  }

  describe(source: () => { cfgHash: string; groups: readonly BeatGroup[] }): void {
    this.#describe = source;
  }

  beatNow(): void {
    this.send('all', { kind: 'beat', ...this.#describe() });
  }

  send(to: string, message: Message): void {
    if (!this.bus.ends.has(this)) return;
    for (const other of this.bus.ends)
      if (other !== this && (to === 'all' || to === other.node) && !this.bus.deaf.has(`${this.node}>${other.node}`))
        setImmediate(() => other.#hear(this, message));
  }

  onReceived(listener: (received: Received) => void): void {
    this.#received.push(listener);
  }

  onChange(listener: (change: MembershipChange) => void): void {
    this.#changes.push(listener);
  }

  peers(): readonly PeerView[] {
    return [...this.#heard].map(([node, { bootId, state, lastMs }]) => ({
      node,
      state,
      bootId,
      links: [],
      silentMs: this.bus.clock.nowMs() - lastMs,
      cfgHash: null,
      groups: [],
    }));
  }

  /** Every look may find something new: what is shown is compared each time. */
  get revision(): number {
    return (this.#looks += 1);
  }

  steadyBeforeSilenceMs(peer: string): number {
    const heard = this.#heard.get(peer);
    return heard === undefined ? 0 : heard.lastMs - heard.sinceMs;
  }

  dropped(): Readonly<Record<string, number>> {
    return {};
  }

  #hear(from: BusHeartbeats, message: Message): void {
    if (!this.bus.ends.has(this)) return;
    const atMs = this.bus.clock.nowMs();
    const before = this.#heard.get(from.node);
    const same = before?.bootId === from.bootId;
    this.#heard.set(from.node, {
      bootId: from.bootId,
      sinceMs: same && before.state === 'member' ? before.sinceMs : atMs,
      lastMs: atMs,
      state: 'member',
    });
    if (!same) this.#tell({ kind: 'boot', peer: from.node, from: before?.bootId ?? null, to: from.bootId });
    if (before?.state !== 'member') this.#tell({ kind: 'peer', peer: from.node, state: 'member', lastHeardMs: atMs, because: 'heard' });
    for (const listener of this.#received) listener({ from: from.node, bootId: from.bootId, network: 'heartbeat-1', message, atMs });
  }

  #look(): void {
    for (const [peer, heard] of this.#heard) {
      if (heard.state !== 'member' || this.bus.clock.nowMs() - heard.lastMs < LAN.suspectAfterMs) continue;
      this.#heard.set(peer, { ...heard, state: 'suspect' });
      this.#tell({ kind: 'peer', peer, state: 'suspect', lastHeardMs: heard.lastMs, because: 'silent' });
    }
  }

  #tell(change: MembershipChange): void {
    for (const listener of this.#changes) listener(change);
  }
}
