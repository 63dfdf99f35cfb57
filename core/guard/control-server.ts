// The guard's side of <run>/guard.sock: who is connected, what they say, and what they are told. Messages come from local
// processes of the same user; a message that is not one of protocol.ts ends its connection and nothing else.
import { UnderstudyError } from '../errors/errors.js';
import type { Epoch, GroupId } from '../model/ids.js';
import type { GuardView, InSyncAnswer, Will } from '../model/lease.js';
import type { Clock } from '../system/clock.js';
import type { FramedConnection, FramedServer, LocalSockets } from '../system/framed-socket.js';
import type { SocketTrouble } from '../system/unix-socket.js';
import type { ControllerIdentity } from './controller-watch.js';
import type { RestoreWish } from '../ownership/restore.js';
import type { FromGuard, OrdersRequest, ToGuard } from './protocol.js';
import { messageToGuard, ordersRequest } from './read-message.js';
import type { Happening } from './owner.js';
import type { OrdersAnswer } from './orders-desk.js';
import type { RestoreAnswer } from './restore-record.js';

export interface ControlServerOptions {
  readonly clock: Clock;
  readonly sockets: LocalSockets;
  readonly path: string;
  readonly groups: readonly GroupId[];
  readonly view: () => GuardView;
  readonly hello: (controller: ControllerIdentity) => void;
  readonly gone: () => void;
  readonly wills: (wills: readonly Will[], saidMs: number) => void;
  readonly orders: (request: OrdersRequest) => Promise<OrdersAnswer>;
  readonly restore: (group: GroupId, wish: RestoreWish) => Promise<RestoreAnswer>;
  /** What the ownership machine is to hear. An `in-sync` is answered by `answerInSync`; its `askId` is unlike any other of this guard. */
  readonly said: (group: GroupId, happening: Extract<Happening, { kind: 'fenced' | 'in-sync' | 'higher-epoch' }>) => void;
  readonly leave: (forMs: number) => void;
  /** A client could not be let in. */
  readonly trouble: SocketTrouble;
}

/** Orders being written at one time; more are refused. */
const MAX_ORDERS = 32;
/** A controller whose loop turns answers within this; S of the shortest profile is five times as long. */
const LAST_WORD_MS = 150;

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #connections = new Set<FramedConnection>();
  #server: FramedServer | null = null;
  #controller: FramedConnection | null = null;
  #ordersOpen = 0;
  #asked = 0;
  readonly #mirrors = new Set<FramedConnection>();
  readonly #inSyncAsked = new Map<number, { readonly connection: FramedConnection; readonly id: number }>();
  readonly #lastWords = new Map<number, (answered: boolean) => void>();

  constructor(options: ControlServerOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    const { sockets, path, trouble } = this.#options;
    this.#server = await sockets.listen(path, (connection) => this.#serve(connection), trouble);
  }

  /** Tells everybody who said hello or asked for the view. */
  tell(message: FromGuard): void {
    for (const connection of this.#connections) connection.send(message);
  }

  /** Asks the controller for its last word on an epoch. False when none is connected, or it does not answer in time. */
  lastWord(group: GroupId, epoch: Epoch): Promise<boolean> {
    const controller = this.#controller;
    if (controller === null) return Promise.resolve(false);
    const id = (this.#asked += 1);
    return new Promise((resolve) => {
      const settle = (answered: boolean): void => {
        this.#lastWords.delete(id);
        timer.cancel();
        resolve(answered);
      };
      const timer = this.#options.clock.after(LAST_WORD_MS, () => settle(false));
      this.#lastWords.set(id, settle);
      controller.send({ t: 'ended?', id, group, epoch } satisfies FromGuard);
    });
  }

  /** What became of a change; whoever asked may be gone. */
  answerInSync(askId: number, answer: InSyncAnswer): void {
    const asked = this.#inSyncAsked.get(askId);
    this.#inSyncAsked.delete(askId);
    asked?.connection.send({ t: 'in-sync-answer', id: asked.id, answer } satisfies FromGuard);
  }

  get listeners(): number {
    return this.#connections.size;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #serve(connection: FramedConnection): void {
    connection.onClose(() => {
      this.#connections.delete(connection);
      this.#mirrors.delete(connection);
      if (this.#controller !== connection) return;
      this.#controller = null;
      for (const settle of Array.from(this.#lastWords.values())) settle(false);
      this.#options.gone();
    });
    connection.onMessage((message) => {
      if (!this.#handle(connection, message)) connection.close();
    });
  }

  /** False when it is no message of the protocol, or not this sender's to say. */
  #handle(connection: FramedConnection, raw: unknown): boolean {
    const message = messageToGuard(raw);
    if (message === null) return false;
    if (message.t === 'hello') return this.#hello(connection, message);
    if (message.t === 'view?') {
      connection.send({ t: 'view', view: this.#options.view() } satisfies FromGuard);
      return true;
    }
    if (message.t === 'in-sync' || message.t === 'higher-epoch') {
      if (!this.#mirrors.has(connection) || !this.#options.groups.includes(message.group)) return false;
      if (message.t === 'in-sync') this.#inSync(connection, message);
      else {
        const { group, epoch, because } = message;
        this.#options.said(group, { kind: 'higher-epoch', epoch, because });
      }
      return true;
    }
    // The rest is the controller's alone.
    if (connection !== this.#controller) return false;
    switch (message.t) {
      case 'wills':
        if (!message.wills.every(({ group }) => this.#options.groups.includes(group))) return false;
        this.#options.wills(message.wills, message.saidMs);
        return true;
      case 'fenced':
        if (!this.#options.groups.includes(message.group)) return false;
        this.#fenced(message);
        return true;
      case 'orders':
        void this.#orders(connection, message);
        return true;
      case 'ended':
        this.#lastWords.get(message.id)?.(true);
        return true;
      case 'restore':
        if (!this.#options.groups.includes(message.group)) return false;
        void this.#options
          .restore(message.group, message)
          .then((answer) => connection.send({ t: 'reply', id: message.id, ...answer } satisfies FromGuard));
        return true;
      case 'leave':
        this.#options.leave(message.forMs);
        return true;
      default:
        return false;
    }
  }

  #fenced({ t: _t, group, ...evidence }: Extract<ToGuard, { t: 'fenced' }>): void {
    this.#options.said(group, { kind: 'fenced', ...evidence });
  }

  #inSync(connection: FramedConnection, { t: _t, id, group, ...wish }: Extract<ToGuard, { t: 'in-sync' }>): void {
    const askId = (this.#asked += 1);
    this.#inSyncAsked.set(askId, { connection, id });
    this.#options.said(group, { kind: 'in-sync', askId, ...wish });
  }

  #hello(connection: FramedConnection, { role, pid, startTime }: Extract<ToGuard, { t: 'hello' }>): boolean {
    this.#connections.add(connection);
    if (role === 'controller') {
      // The newest counts: an old one that is still connected has been replaced by its supervisor.
      const old = this.#controller;
      this.#controller = connection;
      if (old !== null && old !== connection) old.close();
      this.#options.hello({ pid, startTime });
    }
    if (role === 'mirror') this.#mirrors.add(connection);
    connection.send({ t: 'view', view: this.#options.view() } satisfies FromGuard);
    return true;
  }

  async #orders(connection: FramedConnection, { id, request }: Extract<ToGuard, { t: 'orders' }>): Promise<void> {
    if (this.#ordersOpen >= MAX_ORDERS) {
      connection.send({
        t: 'reply',
        id,
        ok: false,
        code: 'REFUSED',
        message: `${MAX_ORDERS} orders are being written already`,
      } satisfies FromGuard);
      return;
    }
    const wanted = ordersRequest(request);
    if (wanted === null || (wanted.key === 'group' && !this.#options.groups.includes(wanted.group))) {
      connection.send({
        t: 'reply',
        id,
        ok: false,
        code: 'REFUSED',
        message: 'this guard does not understand the change of orders: is the node that sent it of another version, or config?',
      } satisfies FromGuard);
      return;
    }
    this.#ordersOpen += 1;
    try {
      const answer = await this.#options.orders(wanted);
      connection.send({ t: 'reply', id, ...answer } satisfies FromGuard);
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      connection.send({ t: 'reply', id, ok: false, code: 'REFUSED', message: error.message } satisfies FromGuard);
    } finally {
      this.#ordersOpen -= 1;
    }
  }
}
