// One controller on a fake clock: the real scheduler and planner, agents that do as they are told, a guard and lease pages
// that are plain values. A test moves time, changes the world, and reads what was called and journaled.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { container as root, type DependencyContainer } from 'tsyringe';
import { registerScheduler } from '../../core/daemon/compose-scheduler.js';
import type { OrdersRequest } from '../../core/guard/protocol.js';
import { Journal } from '../../core/journal/journal.js';
import type { Capture } from '../../core/journal/replay.js';
import type { DesiredGroup, DesiredHook, DesiredResource, DesiredState } from '../../core/model/desired.js';
import type { NewEvent } from '../../core/model/event.js';
import {
  type GroupOrders,
  type GuardView,
  type LeaseView,
  NO_GROUP_ORDERS,
  NO_NODE_ORDERS,
  type NodeOrders,
  type Will,
} from '../../core/model/lease.js';
import type { PageReading } from '../../core/ownership/page.js';
import { plan } from '../../core/planner/plan.js';
import type {
  ActionContext,
  ActionReport,
  Agent,
  AgentDefinition,
  HookDefinition,
  Log,
  MonitorContext,
  MonitorResult,
  Operation,
} from '../../core/plugin/contract.js';
import { z } from '../../core/config/fields.js';
import { Cycle } from '../../core/scheduler/cycle.js';
import { Failures } from '../../core/scheduler/failures.js';
import { Hooks, HookSource } from '../../core/scheduler/hooks.js';
import { Loop } from '../../core/scheduler/loop.js';
import {
  Agents,
  CaptureStore,
  DesiredSource,
  Fence,
  GuardDoor,
  LeasePages,
  Logs,
  noFence,
  PeerReports,
  Planner,
  Self,
} from '../../core/scheduler/ports.js';
import { Quarantine } from '../../core/scheduler/quarantine.js';
import { Addresses } from '../../core/system/addresses.js';
import { Cgroups } from '../../core/system/cgroup.js';
import { Clock } from '../../core/system/clock.js';
import { Exec } from '../../core/system/exec.js';
import { systemExec } from '../../core/system/exec-system.js';
import { Files } from '../../core/system/files.js';
import { systemFiles } from '../../core/system/files-system.js';
import type { HookPoint } from '../../core/model/desired.js';
import { FakeClock } from './fake-clock.js';

export const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** An agent whose resources are variables. `during` may hold, fail or hang any call. */
export class FakeAgent implements Agent<{ readonly name?: string }> {
  readonly state = new Map<string, MonitorResult>();
  readonly calls: string[] = [];
  readonly changed = new Map<string, () => void>();
  during: (call: string, context: MonitorContext<unknown>) => Promise<unknown> | undefined = () => undefined;
  reassert?: (context: ActionContext<{ readonly name?: string }>, found: MonitorResult) => Promise<ActionReport | void>;

  async monitor(context: MonitorContext<unknown>): Promise<MonitorResult> {
    await this.during(`monitor ${context.resource}`, context);
    return this.state.get(context.resource) ?? { state: 'offline' };
  }

  async start(context: ActionContext<unknown>): Promise<ActionReport | void> {
    await this.act('start', context);
    this.state.set(context.resource, { state: 'online' });
    return { detail: { started: context.resource } };
  }

  async stop(context: ActionContext<unknown>): Promise<ActionReport | void> {
    await this.act('stop', context);
    this.state.set(context.resource, { state: 'offline' });
  }

  async plan(op: Operation, context: MonitorContext<unknown>) {
    return [{ kind: 'process' as const, what: `${op} ${context.resource}` }];
  }

  watch(context: MonitorContext<unknown>, changed: () => void): () => void {
    this.changed.set(context.resource, changed);
    return () => this.changed.delete(context.resource);
  }

  private async act(op: string, context: ActionContext<unknown>): Promise<void> {
    this.calls.push(`${op} ${context.resource}`);
    await this.during(`${op} ${context.resource}`, context);
  }
}

export const resource = (id: string, after: readonly string[] = [], more: Partial<DesiredResource> = {}): DesiredResource => ({
  id,
  type: 'fake',
  options: {},
  after,
  critical: true,
  operations: 'on-off',
  promotable: false,
  fencedByEpoch: false,
  everyMs: 1000,
  monitorTimeoutMs: 500,
  startTimeoutMs: 5000,
  stopTimeoutMs: 5000,
  tolerance: 1,
  unknownLimit: 0,
  restart: { max: 2, withinMs: 600_000 },
  ...more,
});

export const group = (resources: readonly DesiredResource[], more: Partial<DesiredGroup> = {}): DesiredGroup => ({
  id: 'g',
  prefer: ['a', 'b'],
  failback: 'never',
  takeover: 'lease',
  resources,
  failover: { max: 3, withinMs: 600_000 },
  hooks: [],
  ...more,
});

export const hook = (point: HookPoint, argv: readonly string[], more: Partial<DesiredHook> = {}): DesiredHook => ({
  point,
  name: argv[0] ?? '',
  run: { kind: 'script', argv },
  order: 'normal',
  timeoutMs: 5000,
  onFailure: 'ignore',
  on: 'active',
  platform: 'any',
  ...more,
});

export const LAN = {
  profile: 'lan',
  heartbeatMs: 40,
  suspectAfterMs: 220,
  renewMs: 250,
  attemptMs: 250,
  softMs: 500,
  selfFenceMs: 1250,
  stopBudgetMs: 750,
  watchdogMs: 2000,
  watchdogGranularityMs: 0,
  petMaxAgeMs: 300,
  pollMs: 100,
  marginMs: 100,
  driftRatio: 0.01,
  takeoverWaitMs: 3000,
  rankDelayMs: 50,
  arbiterRttMs: 100,
  steadyMs: 60_000,
} as const;

export const desiredOf = (groups: readonly DesiredGroup[]): DesiredState => ({
  cluster: 'c',
  cfgHash: 'hash',
  nodes: ['a', 'b'],
  timing: LAN,
  fencing: 'watchdog',
  groups,
});

/** The guard as the controller sees it, and the pages it writes. */
export class FakeGuard implements GuardDoor, LeasePages {
  current: GuardView;
  readonly pages = new Map<string, PageReading>();
  readonly said: Will[][] = [];
  readonly ordered: OrdersRequest[] = [];
  readonly restored: { readonly group: string; readonly epoch: number | null }[] = [];
  readonly confirmed: unknown[] = [];
  refuse: string | null = null;

  constructor(groups: readonly string[]) {
    this.current = {
      self: 'a',
      bootId: 'boot-a',
      cfgHash: 'hash',
      peers: [
        {
          node: 'b',
          state: 'member',
          bootId: 'boot-b',
          links: [{ network: 'heartbeat-1', state: 'up', rttMs: 0.2 }],
          silentMs: 10,
          cfgHash: 'hash',
          groups: [],
        },
      ],
      arbiter: { state: 'ok', ageMs: 5, because: 'it answered' },
      leases: groups.map((id) => lease(id)),
      groupOrders: Object.fromEntries(groups.map((id) => [id, NO_GROUP_ORDERS])),
      nodeOrders: { a: NO_NODE_ORDERS, b: NO_NODE_ORDERS },
      watchdog: { driver: 'none', armed: false },
      leashAgeMs: null,
      alarms: [],
    };
  }

  view(): GuardView {
    return this.current;
  }

  wills(wills: readonly Will[]): void {
    this.said.push([...wills]);
  }

  async orders(request: OrdersRequest): Promise<GroupOrders | NodeOrders> {
    this.ordered.push(request);
    if (this.refuse !== null) throw new Error(this.refuse);
    if (request.key === 'node') return NO_NODE_ORDERS;
    const { addFailover, removeMove, addClear, ...set } = request.set;
    const before = this.current.groupOrders[request.group]!;
    const after: GroupOrders = {
      ...before,
      ...set,
      failovers: addFailover === undefined ? before.failovers : [...before.failovers, addFailover],
      move: removeMove !== undefined && before.move?.id === removeMove ? null : (set.move ?? before.move),
      clears: before.clears + (addClear === true ? 1 : 0),
    };
    this.current = { ...this.current, groupOrders: { ...this.current.groupOrders, [request.group]: after } };
    return after;
  }

  async restore(group: string, epoch: number | null): Promise<number> {
    if (this.refuse !== null) throw new Error(this.refuse);
    this.restored.push({ group, epoch });
    return epoch ?? 7;
  }

  fenced(evidence: Parameters<GuardDoor['fenced']>[0]): void {
    this.confirmed.push(evidence);
  }

  read(group: string): PageReading {
    return (
      this.pages.get(group) ?? {
        held: false,
        stopping: false,
        over: false,
        epoch: 0,
        remainingMs: 0,
        inSync: [],
        because: 'there is no lease page',
      }
    );
  }

  will(group: string): Will | undefined {
    return this.said.at(-1)?.find((will) => will.group === group);
  }

  setLease(id: string, change: Partial<LeaseView>): GuardView {
    this.current = { ...this.current, leases: this.current.leases.map((view) => (view.group === id ? { ...view, ...change } : view)) };
    const view = this.current.leases.find(({ group: name }) => name === id)!;
    const held = view.phase === 'held';
    this.pages.set(id, {
      held,
      stopping: view.phase === 'releasing' || view.phase === 'fencing',
      over: !held,
      epoch: view.epoch,
      remainingMs: held ? 1000 : 0,
      inSync: [],
      because: view.because,
    });
    return this.current;
  }

  setOrders(id: string, change: Partial<GroupOrders>): GuardView {
    this.current = { ...this.current, groupOrders: { ...this.current.groupOrders, [id]: { ...this.current.groupOrders[id]!, ...change } } };
    return this.current;
  }
}

export const lease = (id: string, more: Partial<LeaseView> = {}): LeaseView => ({
  group: id,
  phase: 'observe',
  epoch: 4,
  holder: 'b',
  record: 'held',
  remainingMs: 0,
  recordAgeMs: 10,
  inSync: [],
  successor: null,
  because: 'b holds it',
  ...more,
});

export interface World {
  readonly clock: FakeClock;
  readonly agent: FakeAgent;
  readonly guard: FakeGuard;
  readonly events: (NewEvent & { readonly kind: string })[];
  readonly captures: Capture[];
  /** For how long the kernel was to be kept ready for a start, each time. */
  readonly ready: readonly number[];
  readonly container: DependencyContainer;
  readonly loop: Loop;
  readonly cycle: Cycle;
  readonly hooks: Hooks;
  readonly quarantine: Quarantine;
  readonly failures: Failures;
  readonly runDir: string;
  readonly desired: { state: DesiredState };
  /** The guard says so, and everything that follows at once is done. */
  say(view: GuardView): Promise<void>;
  hold(epoch?: number): Promise<void>;
  kinds(...only: string[]): readonly string[];
  stop(): void;
}

export interface WorldOptions {
  readonly groups?: readonly DesiredGroup[];
  readonly runDir?: string;
  readonly clock?: FakeClock;
  readonly agent?: FakeAgent;
  readonly guard?: FakeGuard;
  readonly definition?: Partial<AgentDefinition>;
  readonly pluginHooks?: Partial<Record<HookPoint, { plugin: string; definition: HookDefinition }[]>>;
  readonly begin?: boolean;
  readonly desired?: Partial<DesiredState>;
  readonly fence?: Fence;
}

/** Builds and begins a controller for node a of {a, b}. */
export const world = async (t: { teardown: (end: () => void | Promise<void>) => void }, options: WorldOptions = {}): Promise<World> => {
  const groups = options.groups ?? [group([resource('vip'), resource('app', ['vip'])])];
  const runDir = options.runDir ?? mkdtempSync(join(tmpdir(), 'understudy-world-'));
  const clock = options.clock ?? new FakeClock();
  const agent = options.agent ?? new FakeAgent();
  const guard = options.guard ?? new FakeGuard(groups.map(({ id }) => id));
  const [events, captures, ready]: [World['events'], Capture[], number[]] = [[], [], []];
  const desired = { state: { ...desiredOf(groups), ...options.desired } };
  const definition: AgentDefinition = {
    summary: 'fake',
    options: z.unknown(),
    hardStop: ({ group: name, resource: id }) => [`pids ${name}/${id}`],
    agent,
    ...options.definition,
  };
  const container = root.createChildContainer();
  const provide = (token: symbol, value: unknown) => container.register(token, { useValue: value });
  provide(Clock, clock);
  provide(Exec, systemExec());
  provide(Cgroups, {
    base: null,
    make: () => null,
    remove: () => true,
    populated: () => false,
    members: () => [],
    kill: async () => true,
    keepReady: (forMs) => void ready.push(forMs),
    watch: () => () => undefined,
  } satisfies Cgroups);
  provide(Addresses, { hardStopLine: (name: string, address: string, bits: number) => `addr ${name} ${address}/${bits}` });
  provide(Journal, { write: (event: NewEvent) => void events.push(event), sync: async () => undefined, close: async () => undefined });
  provide(Self, { cluster: 'c', node: 'a', bootId: 'boot-a', runDir, logDir: runDir, platform: 'linux' } satisfies Self);
  provide(DesiredSource, { desired: () => desired.state });
  provide(Planner, plan);
  provide(GuardDoor, guard);
  provide(LeasePages, guard);
  provide(Agents, {
    definition: () => definition,
    agent: (type: string) => (type === 'broken' ? { unusable: 'it cannot be loaded' } : agent),
  });
  provide(PeerReports, {
    of: () => ({
      ageMs: 10,
      cfgHash: 'hash',
      groups: Object.fromEntries(
        groups.map(({ id, resources }) => [
          id,
          { resources: Object.fromEntries(resources.map((one) => [one.id, { state: 'online', reason: '' }])), blockers: [] },
        ]),
      ),
    }),
  });
  provide(CaptureStore, { keep: (capture: Capture) => void captures.push(capture) });
  provide(Logs, { child: () => SILENT });
  provide(Fence, options.fence ?? noFence());
  provide(HookSource, { hooks: (point: HookPoint) => options.pluginHooks?.[point] ?? [] });
  provide(Files, systemFiles);
  registerScheduler(container);
  const [loop, failures, quarantine] = [container.resolve(Loop), container.resolve(Failures), container.resolve(Quarantine)];
  failures.load();
  quarantine.open();
  const stop = () => {
    loop.stop();
    quarantine.close();
  };
  t.teardown(async () => {
    stop();
    await failures.settled();
    if (options.runDir === undefined) rmSync(runDir, { recursive: true, force: true });
  });
  const say = async (view: GuardView) => {
    loop.guardSpoke(view);
    await clock.settle();
  };
  const made: World = {
    clock,
    agent,
    guard,
    events,
    captures,
    ready,
    container,
    loop,
    cycle: container.resolve(Cycle),
    hooks: container.resolve(Hooks),
    quarantine,
    failures,
    runDir,
    desired,
    say,
    stop,
    hold: (epoch = 5) => say(guard.setLease('g', { phase: 'held', epoch, holder: 'a', because: 'W has passed' })),
    kinds: (...only) =>
      events
        .filter(({ kind }) => only.length === 0 || only.some((start) => kind.startsWith(start)))
        .map(({ kind, resource: id }) => [kind, id].filter(Boolean).join(' ')),
  };
  if (options.begin !== false) {
    loop.start();
    await say(guard.view());
  }
  return made;
};
