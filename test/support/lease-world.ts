// A world for the ownership machine: two to eight machines on clocks of different rates, one linearizable store behind a
// network that delays, loses and lands late, outages of the store for all or for one, failsafe rounds, pauses, guard crashes,
// power cuts and planned moves. Deterministic by its seed.
// It keeps its own account of where the application may be active; the machines know nothing of it.
import { leftoverOf } from '../../core/ownership/adoption.js';
import type { Found, OwnershipEffect, OwnershipEvent } from '../../core/ownership/events.js';
import { provenMs } from '../../core/ownership/failsafe.js';
import { machine, nextWakeMs } from '../../core/ownership/machine.js';
import type { LeasePage } from '../../core/ownership/page.js';
import type { LeaseRecord } from '../../core/ownership/record.js';
import { type OwnershipPolicy, type OwnershipState, type Promised, beatOf, initialState } from '../../core/ownership/state.js';
import { type Timing } from '../../core/model/timing.js';
import { type MirrorMutant, MirrorModel } from './mirror-model.js';
import { NO_GROUP_ORDERS, NO_NODE_ORDERS } from '../../core/model/lease.js';

/** Profile `lan` of SAFETY a.5. */
export const LAN: Timing = {
  profile: 'lan',
  heartbeatMs: 40,
  suspectAfterMs: 220,
  renewMs: 250,
  attemptMs: 250,
  softMs: 500,
  selfFenceMs: 1_250,
  stopBudgetMs: 750,
  watchdogMs: 2_000,
  watchdogGranularityMs: 0,
  petMaxAgeMs: 300,
  pollMs: 100,
  marginMs: 100,
  driftRatio: 0.01,
  takeoverWaitMs: 3_000,
  rankDelayMs: 50,
  arbiterRttMs: 100,
  steadyMs: 60_000,
};

/** One-line bugs that the world must be able to see. */
export type Mutant = 'none' | 'W = D' | 'CAS on the epoch only' | 'a fence that lies' | 'W is proof without a watchdog';

export interface WorldOptions {
  readonly seed: number;
  readonly nodes?: number;
  readonly mutant?: Mutant;
  /**
   * `watchdog`: every node has one. `required`: nobody has, and only proof counts. `mixed`: policy watchdog, every second node
   * has one. Without a watchdog the application runs on until it is stopped or the power goes.
   */
  readonly fencing?: 'watchdog' | 'required' | 'mixed';
  /** Faults until then, then quiet. */
  readonly faultsMs?: number;
  readonly quietMs?: number;
  /** The store is often away for long, from everybody or from one node, and the peers are not: the weather of failsafe. */
  readonly arbiterTrouble?: boolean;
  /** Nothing passes between the nodes: no failsafe round hides what the lease alone does. */
  readonly peersDeaf?: boolean;
  /** Many writes land at once and are answered late. */
  readonly lateAnswers?: boolean;
  /** The group has a mirror: two copies ride on the machines, and every acknowledged write is accounted for. */
  readonly mirror?: MirrorMutant;
  /** a; longer than the profile's makes answers later. */
  readonly attemptMs?: number;
}

export interface Outcome {
  readonly violations: readonly string[];
  /** Where the application runs at the end. */
  readonly active: readonly string[];
  readonly activations: number;
  /** Full failsafe rounds. */
  readonly extensions: number;
  readonly steps: number;
  /** Epochs that began by waiting for a proof, and how many of these began to hold. */
  readonly waits: number;
  readonly begun: number;
  /** With a mirror: writes acknowledged, and those without the other copy. */
  readonly mirror: { readonly acknowledged: number; readonly alone: number; readonly promotions: number };
}

interface Node {
  readonly id: string;
  readonly rate: number;
  readonly offsetMs: number;
  boot: number;
  process: number;
  state: OwnershipState | null;
  powered: boolean;
  pausedUntil: number;
  /** Cut off from the store and from its peers until then; the others are not. */
  cutUntil: number;
  /** Cut off from the store alone. */
  storeCutUntil: number;
  /** What the file in the run directory holds. */
  promise: Promised | null;
  lastTickMs: number;
  wake: number;
  page: LeasePage | null;
  phase: { readonly epoch: number; readonly phase: OwnershipState['phase']; readonly members: readonly string[] } | null;
  maxEpoch: number;
  /** The application may run, until the watchdog bites at this true time. */
  activeUntil: number | null;
  readonly fencedEpochs: Set<string>;
  heardBoots: Map<string, string>;
  /** What the controller wills: hold, or release to somebody. */
  move: { readonly to: string; readonly untilMs: number } | null;
  /** Distinguishes what was scheduled for an earlier life of process or boot. */
  life: number;
}

export const runWorld = ({
  seed,
  nodes: count = 2,
  mutant = 'none',
  fencing = 'watchdog',
  faultsMs = 60_000,
  quietMs = 12_000,
  arbiterTrouble = false,
  peersDeaf = false,
  lateAnswers = false,
  attemptMs = LAN.attemptMs,
  mirror: mirrorMutant,
}: WorldOptions): Outcome => {
  const random = mulberry(seed);
  const chance = (probability: number) => random() < probability;
  const between = (low: number, high: number) => low + random() * (high - low);
  // Swarm: every seed has its own mixture of faults.
  const knob = {
    slow: random() * 0.4,
    lost: random() * 0.15,
    pause: random() * 0.3,
    crash: random() * 0.3,
    cut: random() * 0.5,
    move: random() * 0.4,
    outage: random() * 0.2,
    verify: random() * 0.2,
    fence: fencing === 'watchdog' ? 0 : random() * 0.6,
    lag: lateAnswers ? 0.2 + random() * 0.4 : 0,
    storeCut: arbiterTrouble ? 0.2 + random() * 0.6 : random() * 0.2,
  };
  if (arbiterTrouble) knob.outage = 0.1 + random() * 0.4;
  // W as short as I4 allows, not as long as the profile has it: every millisecond of slack would hide a bug.
  const timing: Timing = { ...LAN, attemptMs, takeoverWaitMs: mutant === 'W = D' ? LAN.selfFenceMs + 1 : 2_450 };
  const queue: { atMs: number; order: number; act: () => void }[] = [];
  const violations: string[] = [];
  const mirror = mirrorMutant === undefined ? null : new MirrorModel(mirrorMutant);
  let nowMs = 0;
  let order = 0;
  let steps = 0;
  let activations = 0;
  let waits = 0;
  let begun = 0;
  let extensions = 0;
  let outageUntil = 0;
  let stored: { record: LeaseRecord; version: number } | null = null;
  let versions = 0;

  const at = (atMs: number, act: () => void) => {
    const entry = { atMs: Math.max(nowMs, atMs), order: (order += 1), act };
    let low = 0;
    for (let high = queue.length; low < high; ) {
      const middle = (low + high) >> 1;
      const there = queue[middle];
      if (there !== undefined && (there.atMs > entry.atMs || (there.atMs === entry.atMs && there.order > entry.order))) low = middle + 1;
      else high = middle;
    }
    // Kept in descending order: the next is the last.
    queue.splice(low, 0, entry);
  };
  const faulty = () => nowMs < faultsMs;
  const delay = () => (faulty() && chance(knob.slow) ? between(20, chance(0.2) ? 12_000 : attemptMs * 1.5) : between(1, 8));
  const lost = (node: Node) => faulty() && (nowMs < node.cutUntil || chance(knob.lost));
  const storeLost = (node: Node) => (faulty() && (nowMs < outageUntil || nowMs < node.storeCutUntil)) || lost(node);
  const local = (node: Node, trueMs: number) => node.offsetMs + node.rate * trueMs;
  const trueOf = (node: Node, localMs: number) => (localMs - node.offsetMs) / node.rate;

  const nodes: Node[] = Array.from({ length: count }, (_, index) => ({
    id: 'abcdefgh'[index] ?? 'x',
    rate: between(0.99, 1.01),
    offsetMs: between(0, 1e6),
    boot: 1,
    process: 1,
    state: null,
    powered: true,
    pausedUntil: 0,
    cutUntil: 0,
    storeCutUntil: 0,
    promise: null,
    lastTickMs: 0,
    wake: 0,
    page: null,
    phase: null,
    maxEpoch: 0,
    activeUntil: null,
    fencedEpochs: new Set(),
    heardBoots: new Map(),
    move: null,
    life: 1,
  }));
  const hasDog = (node: Node) => fencing === 'watchdog' || (fencing === 'mixed' && nodes.indexOf(node) % 2 === 1);
  const bootId = (node: Node) => `${node.id}-boot${node.boot}`;
  const policy = (node: Node): OwnershipPolicy => ({
    self: node.id,
    bootId: bootId(node),
    instance: `${bootId(node)}-${node.process}`,
    group: 'g',
    members: nodes.map(({ id }) => id),
    timing,
    fencing: mutant === 'W is proof without a watchdog' ? 'none' : fencing === 'required' ? 'required' : 'watchdog',
    takeover: 'lease',
    confirm: 'renewal',
    watchdog: hasDog(node),
    cfgHash: 'same',
    failsafe: { peerLost: 'stop', arbiterLossMoveMs: 60_000 },
    mirrored: mirror !== null,
  });

  const active = (node: Node) => node.activeUntil !== null && nowMs < node.activeUntil;
  const bite = (node: Node) => {
    if (!hasDog(node)) {
      if (node.activeUntil !== null) node.activeUntil = Number.POSITIVE_INFINITY;
      return;
    }
    // Last petted at the latest P_max after the send of the last good renewal or full failsafe round.
    const { state } = node;
    if (state?.tenure != null && node.activeUntil !== null)
      node.activeUntil = trueOf(node, provenMs(state) + timing.petMaxAgeMs + timing.watchdogMs);
  };

  const step = (node: Node, happening: Record<string, unknown> & { kind: OwnershipEvent['kind'] }) => {
    if (!node.powered || node.state === null) return;
    if (nowMs < node.pausedUntil) {
      const { life } = node;
      return at(node.pausedUntil, () => (node.life === life ? step(node, happening) : undefined));
    }
    steps += 1;
    const localMs = local(node, nowMs);
    const event = {
      ...happening,
      ...(happening.kind === 'tick' ? { gapMs: localMs - node.lastTickMs } : {}),
      nowMs: localMs,
    } as OwnershipEvent;
    if (event.kind === 'tick') node.lastTickMs = localMs;
    const before = node.state;
    const [after, effects] = machine(before, event);
    node.state = after;
    node.maxEpoch = Math.max(node.maxEpoch, after.maxEpochSeen);
    if (before.phase !== 'fencing' && after.phase === 'fencing' && before.tenure === null) waits += 1;
    if (before.phase === 'fencing' && after.phase === 'held') begun += 1;
    if (after.tenure !== null && after.phase === 'held' && (before.tenure === null || before.phase === 'fencing')) {
      activations += 1;
      const others = nodes.filter((other) => other !== node && active(other));
      if (others.length > 0)
        violations.push(
          `at ${nowMs.toFixed(0)} ms ${node.id} holds epoch ${after.tenure.epoch} while ${others.map(({ id }) => id).join()} is active`,
        );
      node.activeUntil = hasDog(node) ? nowMs : Number.POSITIVE_INFINITY;
    }
    if (after.failsafe?.full != null && after.failsafe.full.sentMs !== before.failsafe?.full?.sentMs) extensions += 1;
    // Verified, and perhaps already said as STOPPED in the same turn.
    const ended = after.release?.verified === true || (event.kind === 'stop-verified' && event.verified && after.phase === 'idle');
    if (before.release !== null && !before.release.verified && ended) node.activeUntil = null;
    if (before.phase === 'fencing-self' && after.phase === 'idle') node.activeUntil = null;
    if (after.phase === 'fencing-self') node.fencedEpochs.add(`${node.boot}/${after.tenure?.epoch ?? 0}`);
    bite(node);
    for (const effect of effects) perform(node, effect);
    plan(node);
  };

  const plan = (node: Node) => {
    if (node.state === null) return;
    const wake = Math.max(trueOf(node, nextWakeMs(node.state)), nowMs + 1);
    if (!Number.isFinite(wake)) return;
    node.wake += 1;
    const { wake: mine, life } = node;
    at(wake, () => (node.wake === mine && node.life === life ? step(node, { kind: 'tick' }) : undefined));
  };

  const found = (): Found =>
    stored === null ? { kind: 'absent' } : { kind: 'record', record: stored.record, version: String(stored.version) };

  /** The mutant's eyes: this node's entry always looks as if it were of the present boot. */
  const forgetful = (node: Node, seen: Found): Found =>
    mirrorMutant !== 'boots do not count' || seen.kind !== 'record'
      ? seen
      : {
          ...seen,
          record: {
            ...seen.record,
            inSync: seen.record.inSync.map((entry) => (entry.id === node.id ? { id: node.id, bootId: bootId(node) } : entry)),
          },
        };

  /** The mirror of whoever holds by its page, as often as an application writes. */
  const mirrors = (node: Node) => {
    at(nowMs + 25, () => mirrors(node));
    const { page, state } = node;
    const peer = nodes.find((other) => other !== node);
    if (mirror === null || peer === undefined || !node.powered || nowMs < node.pausedUntil || page === null) return;
    const held = page.state === 'HELD' && page.bootId === bootId(node) && local(node, nowMs) < page.deadlineBootMs;
    if (!held) return mirror.lost(node.id);
    if (state === null) return mirror.forget(node.id);
    mirror.turn({
      node: node.id,
      peer: peer.id,
      epoch: page.epoch,
      inSync: page.inSync,
      connected: peer.powered && nowMs >= peer.pausedUntil && !lost(node) && !lost(peer),
      flush: chance(0.1),
      ask: (askId, change) =>
        step(node, {
          kind: 'in-sync',
          askId,
          change,
          peer: peer.id,
          bootId: change === 'add' ? bootId(peer) : null,
          epoch: page.epoch,
          generation: '',
          limitMs: 600,
        }),
    });
  };

  const perform = (node: Node, effect: OwnershipEffect) => {
    const { life } = node;
    const back = (happening: Parameters<typeof step>[1]) => () => (node.life === life ? step(node, happening) : undefined);
    switch (effect.kind) {
      case 'read':
        if (storeLost(node)) return;
        return at(nowMs + delay(), () => {
          const seen = forgetful(node, found());
          if (!storeLost(node))
            at(
              nowMs + delay(),
              back({ kind: 'read-done', readId: effect.readId, found: seen, orders: { group: NO_GROUP_ORDERS, node: NO_NODE_ORDERS } }),
            );
        });
      case 'cas': {
        const { attempt } = effect;
        if (attempt.record.state === 'HELD' && node.fencedEpochs.has(`${node.boot}/${attempt.record.epoch}`))
          violations.push(`${node.id} writes its dead epoch ${attempt.record.epoch}`);
        if (storeLost(node)) return;
        return at(nowMs + delay(), () => {
          const expected = attempt.expected;
          const fits =
            mutant === 'CAS on the epoch only' && attempt.purpose === 'acquire'
              ? stored !== null && stored.record.epoch === attempt.record.epoch - 1
              : (stored === null ? null : String(stored.version)) === expected;
          if (fits) {
            if (stored !== null && attempt.record.epoch < stored.record.epoch) violations.push(`the epoch fell to ${attempt.record.epoch}`);
            if (attempt.purpose === 'acquire' && stored !== null && attempt.record.epoch <= stored.record.epoch)
              violations.push(`epoch ${attempt.record.epoch} was given twice`);
            stored = { record: attempt.record, version: (versions += 1) };
          }
          const answer = fits
            ? { kind: 'cas-done' as const, attemptId: attempt.id, version: String(versions) }
            : { kind: 'cas-conflict' as const, attemptId: attempt.id, found: found() };
          // Landed at once and answered late: what a lease that counts from the answer gets wrong.
          const answerMs = faulty() && chance(knob.lag) ? between(0.5, 0.85) * timing.selfFenceMs : delay();
          if (!storeLost(node)) at(nowMs + answerMs, back(answer));
        });
      }
      case 'write-page':
        node.page = {
          epoch: effect.epoch,
          state: effect.state,
          deadlineMonoNs: BigInt(Math.round(effect.deadlineMs * 1e6)),
          deadlineBootMs: effect.deadlineMs,
          bootOffsetMs: 0,
          bootId: bootId(node),
          nonce: effect.nonce,
          inSync: effect.inSync,
        };
        return undefined;
      case 'verify-stopped':
        return at(
          nowMs + between(1, 20),
          back({ kind: 'stop-verified', epoch: effect.epoch, verified: !(faulty() && chance(knob.verify)), because: 'of the world' }),
        );
      case 'hard-stop':
        return at(
          nowMs + between(10, timing.stopBudgetMs),
          back({ kind: 'hard-stopped', epoch: effect.epoch, verified: !(faulty() && chance(knob.verify)), because: 'of the world' }),
        );
      case 'reset-host':
        return powerCycle(node);
      case 'nudge':
        for (const other of nodes) if (other !== node && !lost(node)) at(nowMs + delay(), () => step(other, { kind: 'hint' }));
        return undefined;
      case 'beat':
        return beat(node);
      case 'persist-phase':
        node.phase = { epoch: effect.epoch, phase: effect.phase, members: effect.members ?? [] };
        return undefined;
      case 'ask': {
        const { epoch, round, waitMs } = effect;
        const said = { kind: 'asked' as const, from: node.id, bootId: bootId(node), epoch, round, waitMs };
        return effect.to.forEach((to) => send(node, to, said));
      }
      case 'please-stop':
        return send(node, effect.to, { kind: 'please-stop', from: node.id, epoch: effect.epoch });
      case 'grant': {
        const { promise, round, sees } = effect;
        node.promise = promise;
        return send(node, promise.to, { kind: 'granted', from: node.id, epoch: promise.epoch, round, sees });
      }
      case 'refuse': {
        const { to, epoch, round, knows, because } = effect;
        return send(node, to, { kind: 'refused', from: node.id, epoch, round, knows, because });
      }
      // Files outlive the process: the world remembers what they would hold by itself.
      case 'in-sync-answer':
        return mirror?.answered(node.id, effect.askId, effect.answer);
      case 'journal':
      case 'persist-max-epoch':
        return undefined;
      default:
        return effect satisfies never;
    }
  };

  /** One message to one peer, once over each of two networks. */
  const send = (node: Node, to: string, happening: Parameters<typeof step>[1]) => {
    const other = nodes.find(({ id }) => id === to);
    const boot = node.boot;
    for (const _network of [1, 2]) {
      if (other === undefined || peersDeaf || lost(node)) continue;
      at(nowMs + delay(), () => {
        // The transport takes nothing of a boot that was followed by another.
        const known = other.heardBoots.get(node.id);
        if (lost(other) || (known !== undefined && Number(known.split('boot')[1]) > boot)) return;
        step(other, happening);
      });
    }
  };

  const beat = (node: Node) => {
    if (node.state === null || !node.powered || nowMs < node.pausedUntil) return;
    const group = beatOf(node.state);
    const from = bootId(node);
    for (const other of nodes) {
      if (other === node || peersDeaf || lost(node)) continue;
      at(nowMs + delay(), () => {
        const known = other.heardBoots.get(node.id);
        // Nor does it take the first it hears without that echo; who is in sync is told by boots, so there it counts.
        if (mirror !== null && known === undefined && from !== bootId(node)) return;
        // The transport takes no boot back: it proves by an echo that a new one is alive.
        if (known !== undefined && Number(known.split('boot')[1]) > Number(from.split('boot')[1])) return;
        other.heardBoots.set(node.id, from);
        if (known !== undefined && known !== from) step(other, { kind: 'boot-changed', peer: node.id, from: known, to: from });
        step(other, { kind: 'beat', from: node.id, bootId: from, cfgHash: 'same', group });
      });
    }
  };

  const startGuard = (node: Node) => {
    node.life += 1;
    node.heardBoots = new Map();
    node.state = initialState(policy(node), local(node, nowMs), node.maxEpoch);
    node.lastTickMs = local(node, nowMs);
    const leftover = leftoverOf({
      page: node.page,
      phase: node.phase,
      bootId: bootId(node),
      leashFired: false,
      verifiedEmpty: !active(node),
      nowMs: local(node, nowMs),
      offsetMs: 0,
      timing,
    });
    const taken = node.activeUntil;
    // The application outlives its guard: taking it up again is no new activation.
    node.activeUntil = null;
    const count = activations;
    step(node, { kind: 'start', leftover, promise: node.promise });
    activations = count;
    if (taken !== null) node.activeUntil = taken;
    if (node.state?.tenure == null) node.activeUntil = null;
    bite(node);
    step(node, { kind: 'dog', armed: true });
  };

  const crashGuard = (node: Node, forMs: number) => {
    if (!node.powered) return;
    node.life += 1;
    node.process += 1;
    node.state = null;
    const { life } = node;
    at(nowMs + forMs, () => (node.life === life && node.powered ? startGuard(node) : undefined));
  };

  const powerCycle = (node: Node) => {
    if (!node.powered) return;
    node.powered = false;
    const entries = stored?.record.inSync ?? [];
    const left = entries.filter(({ id, bootId: boot }) =>
      nodes.some((one) => one !== node && one.powered && one.id === id && bootId(one) === boot),
    );
    mirror?.reboot(
      node.id,
      left.map(({ id }) => id),
    );
    node.life += 1;
    node.state = null;
    node.page = null;
    node.phase = null;
    node.promise = null;
    node.activeUntil = null;
    node.pausedUntil = 0;
    at(nowMs + between(30, 4_000), () => {
      node.boot += 1;
      node.powered = true;
      startGuard(node);
    });
  };

  const controller = (node: Node) => {
    at(nowMs + 200, () => controller(node));
    if (node.move !== null && nowMs > node.move.untilMs) node.move = null;
    const moving = node.move;
    const want = moving === null ? 'hold' : node.state?.tenure == null ? 'none' : 'release';
    const rank = nodes.indexOf(node);
    step(node, {
      kind: 'will',
      will: { group: 'g', want, rank, blockers: [], preemptOk: false, successor: moving?.to ?? null, because: 'of the world' },
      saidMs: local(node, nowMs),
    });
  };

  /**
   * The controller of whoever waits: one attempt at a time. The device may fail, be slow, or act only when the node has already
   * come back; it says no more than what it saw. What is said of another boot or another epoch is true, and proves nothing here.
   */
  const fences = (node: Node, busy = { until: 0 }) => {
    at(nowMs + 150, () => fences(node, busy));
    if (node.state?.phase !== 'fencing' || nowMs < busy.until || nowMs < node.pausedUntil) return;
    const { life } = node;
    const say = (evidence: { node: string; bootId: string; forEpoch: number }) =>
      node.life === life ? step(node, { kind: 'fenced', ...evidence, evidence: 'of the world' }) : undefined;
    for (const entry of node.state.tenure?.current?.record.fencing ?? []) {
      const target = nodes.find(({ id }) => id === entry.node);
      if (target === undefined) continue;
      if (faulty() && chance(0.2)) {
        say({ node: entry.node, bootId: `${entry.node}-boot${Number(entry.bootId.split('boot')[1]) - 1}`, forEpoch: entry.epoch });
        say({ node: entry.node, bootId: entry.bootId, forEpoch: entry.epoch - 1 });
      }
      const actsMs = nowMs + (faulty() && chance(knob.fence) ? between(500, 8_000) : between(20, 400));
      const saysMs = actsMs + (faulty() && chance(knob.fence) ? between(200, 4_000) : between(5, 50));
      busy.until = saysMs;
      if (faulty() && chance(knob.fence)) continue;
      at(actsMs, () => {
        if (mutant !== 'a fence that lies' && bootId(target) === entry.bootId) powerCycle(target);
      });
      at(saysMs, () => say({ node: entry.node, bootId: entry.bootId, forEpoch: entry.epoch }));
    }
  };

  const watchdogs = () => {
    at(nowMs + 5, watchdogs);
    for (const node of nodes) {
      bite(node);
      if (node.activeUntil !== null && nowMs >= node.activeUntil) powerCycle(node);
    }
  };

  const trouble = () => {
    if (!faulty()) return;
    at(nowMs + between(200, 2_500), trouble);
    const node = nodes[Math.floor(random() * nodes.length)];
    if (node === undefined) return;
    if (chance(knob.pause)) node.pausedUntil = nowMs + between(10, chance(0.3) ? 6_000 : 900);
    if (chance(knob.crash)) {
      if (chance(0.5)) crashGuard(node, between(50, chance(0.3) ? 4_000 : 300));
      else powerCycle(node);
    }
    if (chance(knob.cut)) node.cutUntil = nowMs + between(100, 6_000);
    if (chance(knob.storeCut)) node.storeCutUntil = nowMs + between(100, arbiterTrouble ? 15_000 : 4_000);
    if (chance(knob.outage)) outageUntil = nowMs + between(100, arbiterTrouble ? 15_000 : 5_000);
    if (chance(knob.move)) {
      const other = nodes.find((candidate) => candidate !== node);
      if (other !== undefined) node.move = { to: other.id, untilMs: nowMs + between(200, 1_500) };
    }
  };

  for (const node of nodes) {
    startGuard(node);
    at(between(0, 200), () => controller(node));
    if (fencing !== 'watchdog') at(between(0, 150), () => fences(node));
    const beats = () => {
      at(nowMs + timing.heartbeatMs * 5, beats);
      beat(node);
    };
    at(between(0, 40), beats);
    if (mirror !== null) at(between(0, 25), () => mirrors(node));
  }
  watchdogs();
  trouble();
  for (let next = queue.pop(); next !== undefined && next.atMs <= faultsMs + quietMs; next = queue.pop()) {
    nowMs = next.atMs;
    next.act();
  }
  violations.push(...(mirror?.violations ?? []));
  const { acknowledged = 0, alone = 0, promotions = 0 } = mirror ?? {};
  return {
    mirror: { acknowledged, alone, promotions },
    violations,
    active: nodes.filter(active).map(({ id }) => id),
    activations,
    extensions,
    steps,
    waits,
    begun,
  };
};

const mulberry = (seed: number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};
