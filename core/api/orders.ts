// Gives operators' orders: checked, journaled and synced, asked of the target where there is a link, recorded in the arbiter
// by this node's guard (or a peer's, when ours cannot reach it), and waited for with a deadline if wanted. The order acts
// wherever the group runs: every guard reads the record.
import { inject, injectable } from 'tsyringe';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { OrdersRequest } from '../guard/protocol.js';
import { Journal } from '../journal/journal.js';
import { Link } from '../link/link.js';
import type { NewEvent } from '../model/event.js';
import type { NodeId } from '../model/ids.js';
import { Cycle, type LastCycle } from '../scheduler/cycle.js';
import { bounded } from '../scheduler/deadline.js';
import { Fences } from '../scheduler/fences.js';
import { Loop } from '../scheduler/loop.js';
import { GuardDoor, Logs } from '../scheduler/ports.js';
import { Clock } from '../system/clock.js';
import { Random } from '../system/random.js';
import { type CheckedOrder, checkOrder } from './order-check.js';
import { activeOf } from './status-view.js';
import type { OrderAnswer, OrderRequest } from './views.js';

const PREPARE_MS = 1000;
const FORWARD_MS = 5000;
const [DEFAULT_WAIT_MS, MAX_WAIT_MS] = [60_000, 600_000];
/** Orders that wait at once; each holds a connection and a listener. */
const MAX_WAITING = 64;

@injectable()
export class Orders {
  private waiting = 0;

  constructor(
    @inject(Cycle) private readonly cycle: Cycle,
    @inject(Loop) private readonly loop: Loop,
    @inject(GuardDoor) private readonly guard: GuardDoor,
    @inject(Link) private readonly link: Link,
    @inject(Fences) private readonly fences: Fences,
    @inject(Journal) private readonly journal: Journal,
    @inject(Clock) private readonly clock: Clock,
    @inject(Random) private readonly random: Random,
    @inject(Logs) private readonly logs: Logs,
  ) {}

  /** Rejects with USAGE, NOT_FOUND, REFUSED, ARBITER_UNREACHABLE, ARBITER_REFUSED, GUARD_UNREACHABLE or TIMED_OUT. */
  async give(order: OrderRequest): Promise<OrderAnswer> {
    try {
      const answer = await this.carryOut(order);
      this.audit('audit.done', order, answer.message, answer.incident === undefined ? {} : { incident: answer.incident });
      return answer;
    } catch (error) {
      this.audit('audit.refused', order, reasonOf(error), {
        data: { code: error instanceof UnderstudyError ? error.code : 'COMMAND_FAILED' },
      });
      throw error;
    }
  }

  /** An order that is none: who asked is not known, for the words are not to be trusted. */
  unreadable(error: unknown): void {
    this.audit('audit.refused', {}, reasonOf(error), { data: { code: error instanceof UnderstudyError ? error.code : 'COMMAND_FAILED' } });
  }

  /**
   * What became of every order that was asked for, refused ones too. `by` is what the asker says of itself; what is certain
   * is `socketUid`: nobody but root and that user can open the socket.
   */
  private audit(
    kind: 'audit.done' | 'audit.refused',
    order: Partial<OrderRequest>,
    because: string,
    more: Pick<NewEvent, 'incident' | 'data'>,
  ): void {
    const { wait: _wait, timeoutMs: _timeout, confirm: _confirm, ...asked } = order;
    this.journal.write({
      kind,
      because,
      ...more,
      data: { ...asked, from: 'api.sock', socketUid: process.geteuid?.() ?? null, ...more.data },
    });
  }

  private async carryOut(order: OrderRequest): Promise<OrderAnswer> {
    const beganMs = this.clock.nowMs();
    const [by, why] = [order.by ?? 'somebody', order.why ?? 'no reason was given'];
    const checked = checkOrder(order, this.last(), { by, why, moveId: `${order.group ?? 'move'}.m${this.random.hex(4)}` });
    if (checked.already !== null) return { message: checked.already };
    await this.prepare(checked);
    await this.note(checked, by, why);
    if (checked.verb === 'fence') return this.power(checked, order, beganMs);
    if (checked.verb === 'arbiter-restore') return this.restore(checked, order, why);
    for (const request of checked.requests) await this.record(request);
    for (const one of checked.fenced) this.guard.fenced({ ...one, evidence: `${by} confirmed that it is off: ${why}` });
    const incident = checked.incident === null ? {} : { incident: checked.incident };
    if (order.wait !== true) return { message: 'recorded', ...incident };
    const message = await this.wait(checked, Math.min(MAX_WAIT_MS, order.timeoutMs ?? DEFAULT_WAIT_MS));
    return { message, elapsedMs: this.clock.nowMs() - beganMs, ...incident };
  }

  /** Powers a node off at an operator's word; what is seen then is proof for whichever group needs it. */
  private async power({ node, fenced }: CheckedOrder, { wait, timeoutMs }: OrderRequest, beganMs: number): Promise<OrderAnswer> {
    const bootId = this.guard.view()?.peers.find((peer) => peer.node === node)?.bootId ?? fenced[0]?.bootId ?? null;
    if (node === null || bootId === null)
      throw new UnderstudyError('REFUSED', `${node ?? 'nobody'} is not fenced: its boot was never heard of, so nothing would be proven`, {
        hint: 'If it is off, say so: understudy fence confirm NODE --i-have-verified-it-is-off.',
      });
    const done = this.fences.fence({ node, bootId, epoch: 0, group: null, forbidden: () => null }).then(({ evidence }) => {
      for (const one of fenced) if (one.bootId === bootId) this.guard.fenced({ ...one, evidence });
      return evidence;
    });
    // Not waited for: what came of it is in the journal.
    done.catch((error: unknown) => this.logs.child('orders').warn('a fence by order failed', { node, reason: reasonOf(error) }));
    if (wait !== true) return { message: 'begun; see understudy fence status' };
    const limitMs = Math.min(MAX_WAIT_MS, timeoutMs ?? DEFAULT_WAIT_MS);
    const outcome = await bounded(() => done, { clock: this.clock, limitMs, graceMs: 0 });
    if (outcome.kind !== 'value') throw outcome.error;
    return { message: `${node} is off: ${outcome.value}`, elapsedMs: this.clock.nowMs() - beganMs };
  }

  private async restore({ groups: [group] }: CheckedOrder, { epoch }: OrderRequest, why: string): Promise<OrderAnswer> {
    if (group === undefined) throw new UnderstudyError('USAGE', 'arbiter restore needs a group');
    const restored = await this.guard.restore(group.id, epoch ?? null, why);
    return {
      message: `restored at epoch ${restored}, held by nobody that is known: every node waits W once, and then one of them takes it`,
    };
  }

  private last(): LastCycle {
    if (this.cycle.last === null)
      throw new UnderstudyError('REFUSED', 'the controller has only just begun and knows nothing yet', { hint: 'Try again in a second.' });
    return this.cycle.last;
  }

  /**
   * The report may be a second old: the target is asked once more. No link, or a half-open one to a node that was just
   * restarted, is no reason to refuse: the report said ready, and the lease decides.
   */
  private async prepare({ verb, to, groups: [group] }: CheckedOrder): Promise<void> {
    if (verb !== 'switchover' || to === null || group === undefined || !this.link.connected(to)) return;
    const blockers = await this.link.prepare(to, group.id, PREPARE_MS).then(
      (prepared) => prepared.blockers,
      (error: unknown) => {
        this.logs.child('orders').warn('the target of a move could not be asked once more', { to, reason: reasonOf(error) });
        return [];
      },
    );
    if (blockers.length > 0)
      throw new UnderstudyError('REFUSED', `${group.id} is not moved: ${to} is not ready: ${blockers.join(', ')}`, {
        hint: 'See understudy status.',
      });
  }

  private async note({ verb, groups, node, to, incident, fenced, requests }: CheckedOrder, by: string, why: string): Promise<void> {
    const [group] = groups;
    const forced = requests.flatMap((request) => (request.key === 'group' && request.set.forced != null ? [request.set.forced] : []))[0];
    const lossAccepted = forced !== undefined;
    this.journal.write({
      kind: 'order',
      because: why,
      data: {
        verb,
        by,
        why,
        ...(node === null ? {} : { node }),
        ...(to === null ? {} : { to }),
        ...(forced === undefined ? {} : { acceptsDataLoss: true, on: forced.node, afterEpoch: forced.epoch }),
      },
      ...(group === undefined ? {} : { group: group.id }),
      ...(incident === null ? {} : { incident }),
    });
    try {
      await this.journal.sync();
    } catch (error) {
      // What is forced stands in no record of the arbiter: without its line here nobody could say later who did it.
      if (verb === 'fence-confirm' || verb === 'arbiter-restore' || (verb === 'start' && (fenced.length > 0 || lossAccepted))) throw error;
      // The record in the arbiter names who and why as well: a full disk here must not keep an operator from a move.
      this.logs.child('orders').warn('an order is not in the journal', { verb, by, reason: reasonOf(error) });
    }
  }

  private async record(request: OrdersRequest): Promise<void> {
    try {
      await this.guard.orders(request);
    } catch (error) {
      const away = error instanceof UnderstudyError && (error.code === 'ARBITER_UNREACHABLE' || error.code === 'GUARD_UNREACHABLE');
      const peer = away ? this.last().desired.nodes.find((node) => this.link.connected(node)) : undefined;
      if (peer === undefined) throw error;
      await this.link.forward(peer, request, FORWARD_MS);
    }
  }

  private wait(checked: CheckedOrder, timeoutMs: number): Promise<string> {
    if (this.waiting >= MAX_WAITING)
      return Promise.reject(
        new UnderstudyError('REFUSED', `${this.waiting} orders are waited for already; this one is recorded`, {
          hint: 'See understudy status.',
        }),
      );
    this.waiting += 1;
    const beganMs = this.clock.nowMs();
    return new Promise<string>((resolve, reject) => {
      const end = (settle: () => void) => {
        timer.cancel();
        leave();
        settle();
      };
      const look = () => {
        const outcome = outcomeOf(checked, this.last(), this.clock.nowMs() - beganMs);
        if (outcome === null) return;
        end(() =>
          outcome.failed
            ? reject(
                new UnderstudyError('COMMAND_FAILED', `${checked.verb}: ${outcome.message}`, {
                  hint: outcome.hint ?? 'See understudy status and understudy explain.',
                }),
              )
            : resolve(outcome.message),
        );
      };
      const timer = this.clock.after(timeoutMs, () =>
        end(() =>
          reject(
            new UnderstudyError(
              'TIMED_OUT',
              `${checked.verb} is recorded but not done after ${timeoutMs} ms: ${sentences(checked, this.last())}`,
            ),
          ),
        ),
      );
      const leave = this.loop.onCycle(look);
      look();
    }).finally(() => (this.waiting -= 1));
  }
}

interface WaitOutcome {
  readonly message: string;
  readonly failed: boolean;
  readonly hint?: string;
}

/** A state that was bad before the order counts against it only when it lasts: the order has to be read first. */
const SETTLE_MS = 3000;

/** Done, failed, or null: not yet. Pure. */
export const outcomeOf = (checked: CheckedOrder, { observed, plan }: LastCycle, waitedMs: number): WaitOutcome | null => {
  const { verb, groups, node, to, from, incident } = checked;
  const activeIn = (group: string): NodeId | null => activeOf(observed.groups[group]!.lease, observed.self);
  const stateOf = (group: string) => plan.verdicts.find((one) => one.group === group)?.state;
  const done = (message: string): WaitOutcome => ({ message, failed: false });
  if (verb === 'fence-confirm') {
    const state = (id: string) => plan.verdicts.find((one) => one.group === id)?.state;
    const waiting = groups.filter(({ id }) => [null, node].includes(activeIn(id)) || !['online', 'partial'].includes(state(id) ?? ''));
    return waiting.length > 0 ? null : done(groups.map(({ id }) => `${id} is on ${activeIn(id)}`).join(', '));
  }
  if (verb === 'standby') {
    if (groups.some(({ id }) => activeIn(id) === node)) return null;
    // Between two nodes for a moment; for longer it means that nobody else can take it.
    const settled = ({ id }: { readonly id: string }) => activeIn(id) !== null && stateOf(id) !== 'starting';
    return groups.every(settled) || waitedMs > SETTLE_MS
      ? done(
          groups.length === 0
            ? `${node} ran nothing`
            : groups.map(({ id }) => `${id} is on ${activeIn(id) ?? 'no node: none is ready to take it'}`).join(', '),
        )
      : null;
  }
  const [group] = groups;
  if (group === undefined || (verb !== 'switchover' && verb !== 'start' && verb !== 'stop')) return done('recorded');
  const verdict = plan.verdicts.find((one) => one.group === group.id);
  const active = activeIn(group.id);
  if (verb === 'stop') return verdict?.state === 'offline' && active === null ? done(`${group.id} is offline`) : null;
  const serves = verdict?.state === 'online' || verdict?.state === 'partial';
  // Another node than the target knows of the lease before it knows of the service: the target's own report says when it serves.
  const report = to === null || to === observed.self ? null : (observed.nodes[to]?.groups[group.id]?.resources ?? null);
  const upThere = report === null || group.resources.every(({ id, critical }) => !critical || report[id]?.state === 'online');
  if (verb === 'switchover' && active === to && serves && upThere) return done(`${group.id} is on ${to}`);
  if (verb === 'start' && active !== null && serves) return done(`${group.id} is ${verdict.state} on ${active}`);
  const dropped =
    verb === 'switchover' && waitedMs > SETTLE_MS && active === from && observed.groups[group.id]?.orders.move?.id !== incident;
  const bad = verdict !== undefined && (verdict.state === 'faulted' || verdict.state === 'blocked') && waitedMs > SETTLE_MS;
  if (!dropped && !bad) return null;
  return {
    message: dropped ? `${group.id} stays on ${from}: the move was dropped` : `${group.id} is ${verdict?.state}: ${verdict?.because}`,
    failed: true,
    ...(verdict?.nextCommand == null ? {} : { hint: `Next: ${verdict.nextCommand}` }),
  };
};

const sentences = ({ groups }: CheckedOrder, { plan }: LastCycle): string =>
  groups
    .map(({ id }) => plan.verdicts.find((one) => one.group === id))
    .map((verdict) => (verdict === undefined ? '' : `${verdict.group} is ${verdict.state}: ${verdict.because}`))
    .join('; ') || 'see understudy status';
