// The side of controller and mirrors of <run>/guard.sock: keeps a connection, makes a new one when it ends, hands on every view and event.
// A guard that is away is no error here: the last view stays, and says by its age that it is old.
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import type { BootId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { GroupOrders, GuardView, InSyncAnswer, InSyncRequest, NodeOrders, Will } from '../model/lease.js';
import type { Clock, Timer } from '../system/clock.js';
import type { FramedConnection, LocalSockets } from '../system/framed-socket.js';
import type { FromGuard, OrdersRequest, ToGuard } from './protocol.js';

export interface GuardClientOptions {
  readonly sockets: LocalSockets;
  readonly path: string;
  readonly clock: Clock;
  readonly role: 'controller' | 'reader' | 'mirror';
  readonly pid: number;
  /** Start time of this process in clock ticks (field 22 of /proc/PID/stat): the guard ends no other process by mistake. */
  readonly startTime: string;
}

export type GuardEvent = Extract<FromGuard, { t: 'event' }>['event'];

const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 1_000;
const ORDERS_DEADLINE_MS = 15_000;
/** The guard has given up by then, and its answer is on its way. */
const ANSWER_MS = 500;
/** Older wills may no longer be meant. */
const WILLS_FRESH_MS = 1_000;

type Replied = Extract<FromGuard, { t: 'reply'; ok: true }>['value'];

interface PendingOrders {
  readonly timer: Timer;
  readonly resolve: (value: Replied) => void;
  readonly reject: (error: UnderstudyError) => void;
}

export class GuardClient {
  readonly #options: GuardClientOptions;
  readonly #viewListeners: ((view: GuardView) => void)[] = [];
  readonly #eventListeners: ((event: GuardEvent) => void)[] = [];
  readonly #stateListeners: ((connected: boolean, because: string) => void)[] = [];
  readonly #orders = new Map<number, PendingOrders>();
  readonly #inSync = new Map<number, (answer: InSyncAnswer) => void>();
  #connection: FramedConnection | null = null;
  #retry: Timer | null = null;
  #retryMs = FIRST_RETRY_MS;
  #view: { readonly view: GuardView; readonly atMs: number } | null = null;
  #lastOrders = 0;
  #closed = false;
  #wills: { readonly message: ToGuard; readonly atMs: number } | null = null;

  constructor(options: GuardClientOptions) {
    this.#options = options;
  }

  /** Begins to connect; never waits for it. */
  start(): void {
    void this.#connect();
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  /** The last view, whatever its age; null while the guard was never heard. */
  view(): GuardView | null {
    return this.#view?.view ?? null;
  }

  viewAgeMs(): number | null {
    return this.#view === null ? null : this.#options.clock.nowMs() - this.#view.atMs;
  }

  onView(listener: (view: GuardView) => void): void {
    this.#viewListeners.push(listener);
  }

  onEvent(listener: (event: GuardEvent) => void): void {
    this.#eventListeners.push(listener);
  }

  /** Called when the connection is made or lost, with the reason. */
  onState(listener: (connected: boolean, because: string) => void): void {
    this.#stateListeners.push(listener);
  }

  /** What the planner wills, and the proof of progress. Lost while the guard is away; one just said is said again to a new guard. */
  sendWills(wills: readonly Will[], loopLagMs: number): boolean {
    const saidMs = this.#options.clock.nowMs();
    const message: ToGuard = { t: 'wills', wills, loopLagMs, saidMs };
    this.#wills = { message, atMs: saidMs };
    return this.#send(message);
  }

  fenced(evidence: { group: GroupId; node: NodeId; bootId: BootId; forEpoch: Epoch; evidence: string }): boolean {
    return this.#send({ t: 'fenced', ...evidence });
  }

  /** This controller ends on purpose and comes back within so long. */
  leave(forMs: number): boolean {
    return this.#send({ t: 'leave', forMs });
  }

  askView(): boolean {
    return this.#send({ t: 'view?' });
  }

  /** Resolves with the orders as they now stand. Rejects with ARBITER_UNREACHABLE, ARBITER_REFUSED, REFUSED, GUARD_UNREACHABLE or TIMED_OUT. */
  orders(request: OrdersRequest, deadlineMs = ORDERS_DEADLINE_MS): Promise<GroupOrders | NodeOrders> {
    return this.#ask((id) => ({ t: 'orders', id, request }), deadlineMs) as Promise<GroupOrders | NodeOrders>;
  }

  /** Resolves with the epoch at which the record was put back. Rejects as `orders`. */
  async restore(group: GroupId, epoch: Epoch | null, why: string, deadlineMs = ORDERS_DEADLINE_MS): Promise<Epoch> {
    return ((await this.#ask((id) => ({ t: 'restore', id, group, epoch, why }), deadlineMs)) as { readonly restored: Epoch }).restored;
  }

  /** The peer of a mirror knows of this epoch; false while the guard is away: say it again. */
  higherEpoch(group: GroupId, epoch: Epoch, because: string): boolean {
    return this.#send({ t: 'higher-epoch', group, epoch, because });
  }

  /**
   * Asks for another set of who is in sync (SAFETY a.11); `limitMs` is how long the guard tries. Never rejects. `unknown`: it may
   * have happened or happens yet; only the lease page, or asking again, tells.
   */
  inSync(request: InSyncRequest): Promise<InSyncAnswer> {
    const id = (this.#lastOrders += 1);
    return new Promise((resolve) => {
      const settle = (answer: InSyncAnswer): void => {
        if (!this.#inSync.delete(id)) return;
        late.cancel();
        resolve(answer);
      };
      const late = this.#options.clock.after(request.limitMs + ANSWER_MS, () =>
        settle({ kind: 'unknown', because: `the guard did not answer within ${request.limitMs + ANSWER_MS} ms` }),
      );
      this.#inSync.set(id, settle);
      if (!this.#send({ t: 'in-sync', id, ...request })) settle({ kind: 'refused', because: 'the guard is not connected' });
    });
  }

  #ask(message: (id: number) => ToGuard, deadlineMs: number): Promise<Replied> {
    const id = (this.#lastOrders += 1);
    return new Promise((resolve, reject) => {
      const late = () =>
        this.#settle(id, (pending) =>
          pending.reject(new UnderstudyError('TIMED_OUT', `the guard did not answer an orders request within ${deadlineMs} ms`)),
        );
      this.#orders.set(id, { timer: this.#options.clock.after(deadlineMs, late), resolve, reject });
      if (!this.#send(message(id))) this.#settle(id, (pending) => pending.reject(this.#away('the guard is not connected')));
    });
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#connection?.close();
    this.#dropOrders('the client was closed');
  }

  async #connect(): Promise<void> {
    try {
      const connection = await this.#options.sockets.connect(this.#options.path);
      if (this.#closed) return connection.close();
      this.#use(connection);
    } catch (error) {
      for (const listener of this.#stateListeners) listener(false, reasonOf(error));
      this.#again();
    }
    return undefined;
  }

  #use(connection: FramedConnection): void {
    const { role, pid, startTime } = this.#options;
    this.#connection = connection;
    this.#retryMs = FIRST_RETRY_MS;
    connection.onClose((because) => {
      this.#connection = null;
      this.#dropOrders(because);
      for (const listener of this.#stateListeners) listener(false, because);
      this.#again();
    });
    connection.onMessage((message) => this.#receive(message as FromGuard));
    this.#send({ t: 'hello', role, pid, startTime });
    if (this.#wills !== null && this.#options.clock.nowMs() - this.#wills.atMs <= WILLS_FRESH_MS) this.#send(this.#wills.message);
    for (const listener of this.#stateListeners) listener(true, 'connected');
  }

  #again(): void {
    if (this.#closed) return;
    this.#retry = this.#options.clock.after(this.#retryMs, () => void this.#connect());
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
  }

  #receive(message: FromGuard): void {
    switch (message.t) {
      case 'view':
        this.#view = { view: message.view, atMs: this.#options.clock.nowMs() };
        for (const listener of this.#viewListeners) listener(message.view);
        return undefined;
      case 'event':
        for (const listener of this.#eventListeners) listener(message.event);
        return undefined;
      case 'ended?':
        // Nothing to look up: every effect from here on is behind a look at the page, which was written before this was asked.
        this.#send({ t: 'ended', id: message.id });
        return undefined;
      case 'in-sync-answer':
        this.#inSync.get(message.id)?.(message.answer);
        return undefined;
      case 'reply':
        return this.#settle(message.id, (pending) =>
          message.ok ? pending.resolve(message.value) : pending.reject(new UnderstudyError(message.code, message.message)),
        );
      default:
        // A newer guard may say more than this controller knows.
        return message satisfies never;
    }
  }

  #send(message: ToGuard): boolean {
    return this.#connection?.send(message) ?? false;
  }

  #settle(id: number, how: (pending: PendingOrders) => void): void {
    const pending = this.#orders.get(id);
    if (pending === undefined) return;
    this.#orders.delete(id);
    pending.timer.cancel();
    how(pending);
  }

  #dropOrders(because: string): void {
    for (const settle of this.#inSync.values()) settle({ kind: 'unknown', because: `the guard went away: ${because}` });
    for (const id of this.#orders.keys()) this.#settle(id, (pending) => pending.reject(this.#away(because)));
  }

  #away(because: string): UnderstudyError {
    return new UnderstudyError('GUARD_UNREACHABLE', `the orders were not confirmed: ${because}; they may have been written`);
  }
}
