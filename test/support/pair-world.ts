// A world for two nodes without a store: each machine with a record of its own that outlives its boots, a network that loses,
// delays and cuts one way, power switches that work, fail, are late or out of reach, pauses, guard crashes and power cuts.
// Deterministic by its seed. It keeps its own account of where the application is; the machines know nothing of it.
import { leftoverOf } from '../../core/ownership/adoption.js';
import type { Found, OwnershipEffect, OwnershipEvent } from '../../core/ownership/events.js';
import { machine, nextWakeMs } from '../../core/ownership/machine.js';
import type { LeasePage } from '../../core/ownership/page.js';
import { fencesFirst } from '../../core/ownership/pair.js';
import type { LeaseRecord } from '../../core/ownership/record.js';
import { type OwnershipPolicy, type OwnershipState, beatOf, initialState } from '../../core/ownership/state.js';
import { NO_GROUP_ORDERS, NO_NODE_ORDERS } from '../../core/model/lease.js';
import { Chance } from '../../core/simulation/chance.js';
import { LAN } from './lease-world.js';

/** Bugs that the world must be able to see: in what surrounds the machine, for the machine has no switches. */
export type PairMutant = 'none' | 'a fence that lies' | 'everybody consents' | 'the record is forgotten and the consent kept';

export interface PairWorldOptions {
  readonly seed: number;
  readonly mutant?: PairMutant;
  readonly faultsMs?: number;
  readonly quietMs?: number;
  /** No power switch works, ever. */
  readonly noFence?: boolean;
  /** All networks between the nodes are cut at this moment, for good; no other faults. */
  readonly cutAtMs?: number;
}

export interface PairOutcome {
  readonly violations: readonly string[];
  readonly active: readonly string[];
  readonly activations: number;
  readonly consents: number;
  /** Nodes that were powered off by a fence, in order. */
  readonly shot: readonly string[];
  readonly phases: readonly string[];
}

interface Node {
  readonly index: 0 | 1;
  readonly id: string;
  readonly rate: number;
  readonly offsetMs: number;
  boot: number;
  life: number;
  process: number;
  powered: boolean;
  pausedUntil: number;
  deafUntil: number;
  apiCutUntil: number;
  state: OwnershipState | null;
  stored: { readonly record: LeaseRecord; readonly version: number } | null;
  maxEpoch: number;
  page: LeasePage | null;
  phase: { readonly epoch: number; readonly phase: OwnershipState['phase']; readonly members: readonly string[] } | null;
  active: boolean;
  heardMs: number;
  suspect: boolean;
  heardBoot: string | null;
  lastTickMs: number;
  wake: number;
  move: boolean;
  fenceBusyUntil: number;
}

export const runPairWorld = ({
  seed,
  mutant = 'none',
  faultsMs = 60_000,
  quietMs = 40_000,
  noFence = false,
  cutAtMs,
}: PairWorldOptions): PairOutcome => {
  const random = new Chance(seed);
  const chance = (probability: number) => random.happens(probability);
  const between = (low: number, high: number) => random.between(low, high);
  const knob = Object.fromEntries(
    ['lost', 'slow', 'cut', 'oneWay', 'pause', 'crash', 'power', 'api', 'fence', 'late', 'move', 'verify'].map((name) => [
      name,
      random.next() ** 2 * 0.4,
    ]),
  ) as Record<'lost' | 'slow' | 'cut' | 'oneWay' | 'pause' | 'crash' | 'power' | 'api' | 'fence' | 'late' | 'move' | 'verify', number>;
  const calm = cutAtMs !== undefined;
  const endMs = faultsMs + quietMs;
  const violations: string[] = [];
  const shot: string[] = [];
  const queue: { readonly atMs: number; readonly act: () => void }[] = [];
  let [nowMs, activations, consents] = [0, 0, 0];
  const at = (atMs: number, act: () => void) => {
    const entry = { atMs: Math.max(nowMs, atMs), act };
    let index = queue.length;
    while (index > 0 && queue[index - 1]!.atMs > entry.atMs) index -= 1;
    queue.splice(index, 0, entry);
  };
  const faulty = () => !calm && nowMs < faultsMs;
  const delay = () => (faulty() && chance(knob.slow) ? between(20, chance(0.3) ? 6_000 : 400) : between(1, 8));
  const nodes: readonly [Node, Node] = [0, 1].map((index) => ({
    index,
    id: 'ab'[index],
    rate: between(0.99, 1.01),
    offsetMs: between(0, 1e6),
    boot: 1,
    life: 1,
    process: 1,
    powered: true,
    pausedUntil: 0,
    deafUntil: 0,
    apiCutUntil: 0,
    state: null,
    stored: null,
    maxEpoch: 0,
    page: null,
    phase: null,
    active: false,
    heardMs: 0,
    suspect: false,
    heardBoot: null,
    lastTickMs: 0,
    wake: 0,
    move: false,
    fenceBusyUntil: 0,
  })) as unknown as readonly [Node, Node];
  const other = (node: Node) => nodes[node.index === 0 ? 1 : 0];
  const bootId = (node: Node) => `${node.id}-boot${node.boot}`;
  const bootNumber = (boot: string) => Number(boot.split('boot')[1]);
  const local = (node: Node, trueMs: number) => node.offsetMs + node.rate * trueMs;
  const deaf = (node: Node) => (calm ? nowMs >= cutAtMs : faulty() && (nowMs < node.deafUntil || chance(knob.lost)));
  const timing = { ...LAN, takeoverWaitMs: 2_450 };
  const policy = (node: Node): OwnershipPolicy => {
    const made = {
      self: node.id,
      bootId: bootId(node),
      instance: `${bootId(node)}-${node.process}`,
      group: 'g',
      members: ['a', 'b'],
      timing,
      fencing: 'required' as const,
      takeover: 'lease' as const,
      confirm: 'renewal' as const,
      watchdog: false,
      cfgHash: 'same',
      failsafe: { peerLost: 'stop', arbiterLossMoveMs: 60_000 },
      pair: { peer: other(node).id, low: node.index, fenceDelayMs: 2_000 + random.between(0, 1_000) },
    } as const;
    return made;
  };

  const step = (node: Node, happening: Record<string, unknown> & { kind: OwnershipEvent['kind'] }): void => {
    if (!node.powered || node.state === null) return undefined;
    if (nowMs < node.pausedUntil) {
      const { life } = node;
      return at(node.pausedUntil, () => (node.life === life ? step(node, happening) : undefined));
    }
    const localMs = local(node, nowMs);
    const gap = happening.kind === 'tick' ? { gapMs: localMs - node.lastTickMs } : {};
    if (happening.kind === 'tick') node.lastTickMs = localMs;
    const before = node.state;
    const [after, effects] = machine(before, { ...happening, ...gap, nowMs: localMs } as OwnershipEvent);
    node.state = after;
    node.maxEpoch = Math.max(node.maxEpoch, after.maxEpochSeen);
    if (after.tenure !== null && after.phase === 'held' && (before.tenure === null || before.phase === 'fencing')) {
      activations += 1;
      if (other(node).active)
        violations.push(`at ${nowMs.toFixed(0)} ms ${node.id} holds epoch ${after.tenure.epoch} while ${other(node).id} is active`);
      node.active = true;
    }
    if (after.release?.verified === true && before.release?.verified === false) node.active = false;
    if (before.phase === 'fencing-self' && after.phase === 'idle') node.active = false;
    for (const effect of effects) perform(node, effect);
    plan(node);
    return undefined;
  };

  const plan = (node: Node) => {
    if (node.state === null) return;
    const wakeMs = Math.max((nextWakeMs(node.state) - node.offsetMs) / node.rate, nowMs + 1);
    if (!Number.isFinite(wakeMs)) return;
    node.wake += 1;
    const { wake, life } = node;
    at(wakeMs, () => (node.wake === wake && node.life === life ? step(node, { kind: 'tick' }) : undefined));
  };

  const found = ({ stored }: Node): Found =>
    stored === null ? { kind: 'absent' } : { kind: 'record', record: stored.record, version: String(stored.version) };

  const perform = (node: Node, effect: OwnershipEffect): void => {
    const { life } = node;
    const back = (happening: Parameters<typeof step>[1]) => () => (node.life === life ? step(node, happening) : undefined);
    const verified = () => !(faulty() && chance(knob.verify));
    switch (effect.kind) {
      case 'read':
        return at(nowMs + 0.2, () =>
          back({
            kind: 'read-done',
            readId: effect.readId,
            found: found(node),
            orders: { group: NO_GROUP_ORDERS, node: NO_NODE_ORDERS },
          })(),
        );
      case 'cas': {
        const { attempt } = effect;
        // A disk: written when asked, answered after the sync, which a busy disk makes long.
        const version = node.stored === null ? null : String(node.stored.version);
        const answer: Parameters<typeof step>[1] =
          version === attempt.expected
            ? { kind: 'cas-done', attemptId: attempt.id, version: String((node.stored?.version ?? 0) + 1) }
            : { kind: 'cas-conflict', attemptId: attempt.id, found: found(node) };
        if (version === attempt.expected) node.stored = { record: attempt.record, version: (node.stored?.version ?? 0) + 1 };
        return at(nowMs + (faulty() && chance(knob.late) ? between(10, 400) : between(0.1, 5)), back(answer));
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
          back({ kind: 'stop-verified', epoch: effect.epoch, verified: verified(), because: 'of the world' }),
        );
      case 'hard-stop':
        return at(
          nowMs + between(10, 700),
          back({ kind: 'hard-stopped', epoch: effect.epoch, verified: verified(), because: 'of the world' }),
        );
      case 'reset-host':
        return powerCycle(node, between(500, 3_000));
      case 'persist-phase':
        node.phase = { epoch: effect.epoch, phase: effect.phase, members: effect.members ?? [] };
        return undefined;
      case 'beat':
        return beat(node);
      case 'ask':
        return send(node, { ...effect, kind: 'asked', from: node.id, bootId: bootId(node) });
      case 'grant':
        consents += 1;
        return send(node, { kind: 'granted', from: node.id, epoch: effect.promise.epoch, round: effect.round, sees: true });
      case 'refuse':
        if (mutant === 'everybody consents')
          return send(node, { kind: 'granted', from: node.id, epoch: effect.epoch, round: effect.round, sees: true });
        return send(node, { ...effect, kind: 'refused', from: node.id });
      case 'nudge':
      case 'please-stop':
      case 'journal':
      case 'in-sync-answer':
      case 'persist-max-epoch':
        return undefined;
      default:
        return effect satisfies never;
    }
  };

  /** Over two networks: what passes may come twice. */
  const send = (node: Node, happening: Parameters<typeof step>[1]) => {
    const boot = bootId(node);
    for (const _network of [1, 2]) {
      if (deaf(node)) continue;
      at(nowMs + delay(), () => {
        const to = other(node);
        if (deaf(to) || (to.heardBoot !== null && bootNumber(to.heardBoot) > bootNumber(boot))) return;
        step(to, happening);
      });
    }
  };

  const beat = (node: Node): void => {
    if (node.state === null || !node.powered || nowMs < node.pausedUntil || deaf(node)) return;
    const [group, from] = [beatOf(node.state), bootId(node)];
    at(nowMs + delay(), () => {
      const to = other(node);
      if (deaf(to) || !to.powered || to.state === null) return;
      if (to.heardBoot !== null && bootNumber(to.heardBoot) > bootNumber(from)) return;
      if (to.heardBoot !== null && to.heardBoot !== from) step(to, { kind: 'boot-changed', peer: node.id, from: to.heardBoot, to: from });
      to.heardBoot = from;
      to.heardMs = nowMs;
      to.suspect = false;
      step(to, { kind: 'beat', from: node.id, bootId: from, cfgHash: 'same', group });
    });
  };

  const watch = (node: Node) => {
    at(nowMs + 25, () => watch(node));
    if (node.state === null || !node.powered) return;
    // A pause of the observer alone is no silence.
    if (nowMs < node.pausedUntil) node.heardMs = node.pausedUntil;
    if (node.heardBoot === null || node.suspect || nowMs - node.heardMs < timing.suspectAfterMs) return;
    node.suspect = true;
    step(node, { kind: 'peer-suspect', peer: other(node).id, steadyMs: 0, lastHeardMs: local(node, node.heardMs) });
  };

  const startGuard = (node: Node) => {
    node.life += 1;
    Object.assign(node, { heardBoot: null, suspect: false, lastTickMs: local(node, nowMs), move: false });
    node.state = initialState(policy(node), local(node, nowMs), node.maxEpoch);
    const running = node.active;
    const leftover = leftoverOf({
      page: node.page,
      phase: node.phase,
      bootId: bootId(node),
      leashFired: false,
      verifiedEmpty: !running,
      nowMs: local(node, nowMs),
      offsetMs: 0,
      timing,
    });
    step(node, { kind: 'start', leftover });
    // The application outlives its guard: taken up again it is no new activation.
    if (node.state.tenure !== null) node.active = running;
    step(node, { kind: 'dog', armed: true });
  };

  const crashGuard = (node: Node, forMs: number) => {
    if (!node.powered || node.state === null) return;
    node.life += 1;
    node.process += 1;
    node.state = null;
    const { life } = node;
    at(nowMs + forMs, () => (node.life === life && node.powered ? startGuard(node) : undefined));
  };

  const powerCycle = (node: Node, forMs: number) => {
    if (!node.powered) return;
    node.life += 1;
    Object.assign(node, { powered: false, state: null, page: null, phase: null, active: false, pausedUntil: 0 });
    at(nowMs + forMs, () => {
      node.boot += 1;
      node.powered = true;
      startGuard(node);
    });
  };

  const controller = (node: Node) => {
    at(nowMs + 200, () => controller(node));
    const want = !node.move ? 'hold' : node.state?.tenure == null ? 'none' : 'release';
    const successor = node.move ? other(node).id : null;
    step(node, {
      kind: 'will',
      will: { group: 'g', want, rank: node.index, blockers: [], preemptOk: false, successor, because: 'of the world' },
      saidMs: local(node, nowMs),
    });
  };

  /** One call at a time; the switch may be out of reach, fail, act late, or act and not be seen to. */
  const fences = (node: Node) => {
    at(nowMs + 150, () => fences(node));
    const { state } = node;
    if (state === null || !node.powered || nowMs < node.pausedUntil || nowMs < node.fenceBusyUntil) return;
    const first = fencesFirst(state);
    const owed = state.phase === 'fencing' ? (state.tenure?.current?.record.fencing ?? []) : first === null ? [] : [first];
    for (const entry of owed) {
      const target = other(node);
      const { life } = node;
      const actsMs = nowMs + between(20, faulty() && chance(knob.late) ? 6_000 : 400);
      const saysMs = actsMs + between(5, faulty() && chance(knob.late) ? 4_000 : 50);
      node.fenceBusyUntil = saysMs;
      if (noFence || (faulty() && (nowMs < node.apiCutUntil || chance(knob.fence)))) continue;
      const say = () =>
        node.life === life
          ? step(node, { kind: 'fenced', node: entry.node, bootId: entry.bootId, forEpoch: entry.epoch, evidence: 'of the world' })
          : undefined;
      at(actsMs, () => {
        // A host that is going down calls nobody: what it asked for before is carried out all the same.
        if (mutant !== 'a fence that lies' && target.powered) {
          shot.push(target.id);
          powerCycle(target, between(1_000, 8_000));
        }
        at(saysMs, say);
      });
    }
  };

  const trouble = () => {
    if (!faulty()) return;
    at(nowMs + between(200, 2_500), trouble);
    const node = nodes[random.index(2)]!;
    if (chance(knob.pause)) node.pausedUntil = Math.max(node.pausedUntil, nowMs + between(10, chance(0.3) ? 6_000 : 900));
    if (chance(knob.crash)) crashGuard(node, between(50, chance(0.3) ? 4_000 : 300));
    if (chance(knob.power)) powerCycle(node, between(30, 4_000));
    if (chance(knob.cut)) for (const one of nodes) one.deafUntil = nowMs + between(100, 12_000);
    if (chance(knob.oneWay)) node.deafUntil = nowMs + between(100, 8_000);
    if (chance(knob.api)) node.apiCutUntil = nowMs + between(100, 15_000);
    if (chance(knob.move) && node.active) {
      node.move = true;
      at(nowMs + between(300, 2_000), () => (node.move = false));
    }
    if (mutant === 'the record is forgotten and the consent kept' && chance(0.1)) node.stored = null;
  };

  for (const node of nodes) {
    startGuard(node);
    at(between(0, 200), () => controller(node));
    at(between(0, 150), () => fences(node));
    const beats = () => {
      at(nowMs + timing.heartbeatMs, beats);
      beat(node);
    };
    at(between(0, 40), beats);
    at(between(0, 25), () => watch(node));
  }
  trouble();
  for (let next = queue.shift(); next !== undefined && next.atMs <= endMs; next = queue.shift()) {
    nowMs = next.atMs;
    next.act();
    if (violations.length > 0) break;
  }
  return {
    violations,
    activations,
    consents,
    shot,
    active: nodes.filter(({ active }) => active).map(({ id }) => id),
    phases: nodes.map(({ state }) => state?.phase ?? 'off'),
  };
};
