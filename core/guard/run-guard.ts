// The guard of one node (SAFETY a.2): it owns the leases of all groups, hears the peers, keeps the watchdog and the lease
// pages, and answers the controller. Everything it needs is handed in as plain objects; it loads no schema, no plugin, no
// logger. Ending it stops nothing: the next guard takes up what this one held.
import { UnderstudyError } from '../errors/errors.js';
import type { GroupId } from '../model/ids.js';
import type { NewEvent } from '../model/event.js';
import type { GuardView } from '../model/lease.js';
import { mayPet, needsDog } from '../ownership/machine.js';
import { beatOf, initialState } from '../ownership/state.js';
import { nextOnGrid } from '../ownership/timing.js';
import { Alarms } from '../system/alarms.js';
import type { Timer } from '../system/clock.js';
import { guardSocket, leashBeat } from '../system/paths.js';
import { ArbiterDesk } from './arbiter-desk.js';
import { ControlServer } from './control-server.js';
import { ControllerWatch } from './controller-watch.js';
import { DogKeeper } from './dog-keeper.js';
import { follow } from './follow.js';
import { type GuardHandle, type GuardOptions, policyOf } from './guard-options.js';
import { GuardStore, guardFile } from './guard-store.js';
import { hear } from './hear.js';
import { HostGate } from './host-gate.js';
import { LastWord } from './last-word.js';
import { LeaseClock } from './lease-clock.js';
import { beginAnew, takeUp } from './leftovers.js';
import { LeashWatch } from './leash-watch.js';
import { shareOrders, storeView } from './orders-copies.js';
import { changeOrders } from './orders-desk.js';
import { Owner } from './owner.js';
import { PageDesk } from './page-desk.js';
import { type PerformOptions, perform } from './perform.js';
import { restoreRecord } from './restore-record.js';
import { Shown } from './shown.js';
import { viewOf } from './view.js';

export type { GuardHandle, GuardOptions } from './guard-options.js';

const [TICK_MS, PAUSE_MS] = [100, 500];
const VIEW_EVERY_MS = 1_000;

/** Starts the guard; resolves when it listens and has begun to observe. Rejects with NODE_UNKNOWN or REFUSED. */
export const runGuard = async (options: GuardOptions): Promise<GuardHandle> => {
  const { config, node } = options;
  if (!config.nodes.some(({ id }) => id === node))
    throw new UnderstudyError('NODE_UNKNOWN', `cannot guard as ${node}: it is not a node of ${config.file}`);
  const guard = new Guard(options);
  await guard.start();
  return guard;
};

class Guard implements GuardHandle {
  readonly #o: GuardOptions;
  readonly #groups: readonly GroupId[];
  readonly #leaseClock: LeaseClock;
  readonly #alarms = new Alarms();
  readonly #store: GuardStore;
  readonly #pages: PageDesk;
  readonly #desk: ArbiterDesk;
  readonly #dog: DogKeeper;
  readonly #leash: LeashWatch;
  readonly #controller: ControllerWatch;
  readonly #server: ControlServer;
  readonly #owner: Owner;
  readonly #lastWord: LastWord;
  readonly #gate: HostGate;
  readonly #end = new AbortController();
  #ready = false;
  #ticks: Timer | null = null;
  readonly #shown: Shown;
  #shownMs = Number.NEGATIVE_INFINITY;

  constructor(options: GuardOptions) {
    const { config, node, bootId, paths, arbiter, clock, random, watchdog, files, bootOffsetMs } = options;
    const { timing } = config;
    this.#o = options;
    this.#groups = config.groups.map(({ id }) => id);
    this.#leaseClock = new LeaseClock(clock, bootOffsetMs);
    this.#store = new GuardStore(files, guardFile(paths), (because) => this.#alarms.set('state', because));
    this.#alarms.set('store', this.#store.lost === null ? null : `what was kept of earlier epochs is lost: ${this.#store.lost}`);
    this.#pages = new PageDesk(files, paths, bootId, this.#leaseClock);
    this.#leash = new LeashWatch(files, leashBeat(paths));
    this.#controller = new ControllerWatch(clock.nowMs(), options.processorTime);
    this.#gate = new HostGate({
      leaseClock: this.#leaseClock,
      leash: this.#leash,
      pages: this.#pages,
      needsLeash: options.needsLeash ?? !watchdog.present,
      states: () => this.#owner.states,
      changed: (blockers) => this.#owner.dispatch('all', { kind: 'gate', blockers }),
    });
    this.#desk = new ArbiterDesk({
      arbiter,
      clock,
      cluster: config.cluster,
      node,
      nodes: config.nodes.map(({ id }) => id),
      changed: ({ state, because }) => this.#tell({ kind: state === 'ok' ? 'arbiter.ok' : `arbiter.${state}`, because }),
      nodeOrders: (id, orders) => void this.#store.keepNodeOrders(id, orders),
    });
    this.#dog = new DogKeeper({
      watchdog,
      clock,
      timeoutMs: timing.watchdogMs,
      petEveryMs: timing.renewMs / 2,
      mayPet: () => this.#ready && this.#owner.states.every((state) => mayPet(state, this.#leaseClock.nowMs())),
      needed: () => this.#owner.states.some(needsDog),
      // There may have been a pause between the check and the pet: look at every deadline again, now.
      petted: () => this.#owner.tick(),
      changed: (armed, because) => {
        this.#alarms.set('watchdog', null);
        this.#owner.dispatch('all', { kind: 'dog', armed });
        this.#tell({ kind: armed ? 'watchdog.armed' : 'watchdog.disarmed', because });
      },
      failed: (because) => {
        this.#alarms.set('watchdog', because);
        if (!this.#dog.armed) this.#gate.unfit(because);
      },
    });
    this.#lastWord = new LastWord({
      files,
      paths,
      ask: (group, epoch) => this.#server.lastWord(group, epoch),
      endProcess: options.endProcess,
      tell: (event) => this.#tell(event),
    });
    this.#server = new ControlServer({
      clock,
      sockets: options.sockets,
      path: guardSocket(paths),
      groups: this.#groups,
      view: () => this.view(),
      hello: (controller) => {
        this.#controller.hello(controller, clock.nowMs());
        this.#alarms.set('controller', this.#lastWord.hello(controller));
      },
      gone: () => this.#controller.gone(),
      wills: (wills, saidMs) => {
        this.#controller.progress(clock.nowMs());
        for (const will of wills) this.#owner.dispatch(will.group, { kind: 'will', will, saidMs: this.#leaseClock.saidMs(saidMs) });
      },
      orders: async (request) => {
        const answer = await changeOrders({ arbiter, clock, cluster: config.cluster, attemptMs: timing.attemptMs }, request);
        // Whoever ordered it wants to see it done: not at the next poll.
        if (answer.ok) this.#owner.dispatch('all', { kind: 'hint' });
        return answer;
      },
      restore: (group, wish) =>
        restoreRecord(
          { ...options, attemptMs: timing.attemptMs, state: () => this.#owner.state(group), tell: (event) => this.#tell(event) },
          group,
          wish,
        ),
      said: (group, happening) => this.#owner.dispatch(group, happening),
      leave: (forMs) => {
        const untilMs = this.#leaseClock.nowMs() + this.#controller.leave(forMs, clock.nowMs());
        this.#owner.dispatch('all', { kind: 'leave', untilMs });
      },
      trouble: this.#alarms.passing('socket', clock, (because) => this.#tell({ kind: 'guard.socket-trouble', because })),
    });
    const port: PerformOptions = {
      ...options,
      desk: this.#desk,
      dog: this.#dog,
      pages: this.#pages,
      store: this.#store,
      lastWord: this.#lastWord,
      stopBudgetMs: timing.stopBudgetMs,
      dispatch: (group, happening) => this.#owner.dispatch(group, happening),
      keepOrders: (group, orders) => void this.#store.keepGroupOrders(group, orders),
      answerInSync: (askId, answer) => this.#server.answerInSync(askId, answer),
      tell: (event) => this.#tell(event),
      checkGate: () => this.#gate.look(),
      unfit: (because) => this.#gate.unfit(because),
    };
    this.#shown = new Shown([options.heartbeats, this.#desk, this.#store, this.#alarms]);
    const instance = random.hex(6);
    this.#owner = new Owner({
      clock,
      leaseClock: this.#leaseClock,
      states: config.groups.map((group) =>
        initialState(policyOf(options, group.id, instance), this.#leaseClock.nowMs(), this.#store.maxEpochSeen(group.id)),
      ),
      perform: (group, effect) => perform(port, group, effect),
      settled: (news) => this.#settled(news),
      turned: options.turned,
    });
  }

  async start(): Promise<void> {
    const { heartbeats, config, clock } = this.#o;
    this.#leash.look(this.#leaseClock.nowMs());
    this.#gate.look();
    heartbeats.describe(() => ({ cfgHash: config.cfgHash, groups: this.#owner.states.map(beatOf) }));
    hear({
      heartbeats,
      owner: this.#owner,
      groups: this.#groups,
      leaseClock: this.#leaseClock,
      tell: (event) => this.#tell(event),
      changed: () => this.#show(false),
    });
    // First of all what is held: its deadline runs.
    const left = { ...this.#o, timing: config.timing, pages: this.#pages, store: this.#store, leaseClock: this.#leaseClock };
    const others = this.#groups.filter((group) => {
      const event = takeUp(left, group);
      if (event !== null) this.#owner.dispatch(group, event);
      return event === null;
    });
    const listening = Promise.all([this.#server.listen(), heartbeats.start()]);
    await Promise.all(others.map(async (group) => this.#owner.dispatch(group, await beginAnew(left, group))));
    await listening;
    this.#ready = true;
    shareOrders({
      ...this.#o,
      cluster: config.cluster,
      signal: this.#end.signal,
      taken: () => this.#owner.dispatch('all', { kind: 'hint' }),
      tell: (event) => this.#tell(event),
    });
    follow({ arbiter: this.#o.arbiter, clock, cluster: config.cluster, desk: this.#desk, owner: this.#owner, signal: this.#end.signal });
    this.#end.signal.addEventListener('abort', () => this.#ticks?.cancel());
    this.#tickOnGrid();
  }

  view(): GuardView {
    const { config, node, bootId, heartbeats, watchdog } = this.#o;
    const nowMs = this.#leaseClock.nowMs();
    return viewOf({
      self: node,
      bootId,
      cfgHash: config.cfgHash,
      peers: heartbeats.peers(),
      arbiter: storeView(this.#desk.view(), this.#o.arbiter),
      states: this.#owner.states,
      nowMs,
      groupOrders: this.#store.groupOrders,
      nodeOrders: this.#store.nodeOrders,
      watchdog: { driver: watchdog.driver, armed: this.#dog.armed },
      leashAgeMs: this.#leash.ageMs(nowMs),
      alarms: this.#alarms.all(),
      dropped: heartbeats.dropped(),
    });
  }

  async stop(): Promise<void> {
    this.#end.abort();
    this.#owner.close();
    await Promise.all([this.#server.close(), this.#o.heartbeats.stop()]);
    this.#dog.close();
    await this.#store.settled();
    this.#pages.close();
  }

  /** At the same moments as the reads of the arbiter: one wake-up of the process for both. */
  #tickOnGrid(): void {
    this.#tick();
    const nowMs = this.#leaseClock.nowMs();
    // A timer may fire a little before its time: that moment is not waited for again.
    this.#ticks = this.#o.clock.after(Math.ceil(nextOnGrid(nowMs + 1, TICK_MS) - nowMs), () => this.#tickOnGrid());
  }

  #tick(): void {
    const sleptMs = this.#leaseClock.look();
    if (sleptMs > 0) this.#tell({ kind: 'suspend.gap', because: `the host slept for ${Math.round(sleptMs)} ms` });
    const nowMs = this.#leaseClock.nowMs();
    this.#leash.look(nowMs);
    this.#alarms.set('leash', this.#gate.leashTrouble());
    this.#gate.look();
    // Deadlines before anything else.
    const gapMs = this.#owner.tick();
    if (gapMs > PAUSE_MS) {
      this.#tell({ kind: 'pause', because: `this process did not run for ${Math.round(gapMs)} ms`, data: { gapMs } });
      // Its clock stood still while the host slept.
      this.#controller.paused(Math.max(0, gapMs - sleptMs));
    }
    this.#watchController();
    this.#dog.consider();
    if (nowMs - this.#shownMs >= VIEW_EVERY_MS) this.#show(true);
  }

  #settled(news: boolean): void {
    this.#desk.flush(this.#o.config.timing.attemptMs);
    if (!this.#ready) return;
    this.#dog.consider();
    // The view of a group that only grew older is the same: to put it together for nothing cost most of a tick.
    if (news) this.#show(false);
  }

  #watchController(): void {
    const nowMs = this.#o.clock.nowMs();
    this.#alarms.set('leave', this.#controller.leaving(nowMs) ? 'the controller has left on purpose and is waited for' : null);
    const verdict = this.#controller.look(nowMs);
    if (verdict.kind === 'hung') {
      const ended = this.#o.endProcess(verdict.controller);
      this.#tell({
        kind: 'controller.hung',
        because: `the controller made no progress for ${Math.round(verdict.silentMs)} ms and was ${ended ? 'ended' : 'already gone'}`,
        data: { pid: verdict.controller.pid },
      });
    }
    if (verdict.kind !== 'give-up') return;
    for (const { policy, phase } of this.#owner.states)
      if (phase === 'held' || phase === 'fencing') this.#owner.dispatch(policy.group, { kind: 'give-up', because: verdict.because });
  }

  #tell(event: NewEvent): void {
    const monoMs = event.monoMs ?? this.#o.clock.nowMs();
    this.#o.journal.write({ ...event, monoMs });
    this.#server.tell({ t: 'event', event: { ...event, monoMs } });
  }

  #show(always: boolean): void {
    if (this.#server.listeners === 0 || (!this.#shown.mayDiffer(this.#dog.armed, this.#owner.states) && !always)) return;
    const view = this.view();
    if (!this.#shown.take(view) && !always) return;
    this.#shownMs = this.#leaseClock.nowMs();
    this.#server.tell({ t: 'view', view });
  }
}
