// The cluster link: one connection between each two controllers, over whichever heartbeat network works. The node whose name
// comes first dials. A report goes each second and on every change; a connection that brings none for 3 s is given up and
// the next network is tried. Everything that waits has a deadline, everything that is kept a bound.
import { inject, injectable } from 'tsyringe';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { OrdersRequest } from '../guard/protocol.js';
import type { BootId, GroupId, NodeId } from '../model/ids.js';
import { Logs, type PeerReports, Self } from '../scheduler/ports.js';
import { Clock, type Timer } from '../system/clock.js';
import type { FramedConnection } from '../system/framed-socket.js';
import { Random } from '../system/random.js';
import { linkMessage, type LinkMessage, type NodeReport, type Prepared } from './messages.js';
import type { LinkNetwork } from './network.js';

export interface LinkOptions {
  readonly network: LinkNetwork;
  readonly port: number;
  /** Own address on each heartbeat network, by network. */
  readonly own: readonly string[];
  /** The same of every other node. */
  readonly peers: Readonly<Record<NodeId, readonly string[]>>;
}
export const LinkOptions: unique symbol = Symbol('LinkOptions');

/** What the link asks of this controller. */
export interface LinkHost {
  report(): NodeReport;
  /** Records a forwarded order by this node's guard. */
  order(request: OrdersRequest): Promise<unknown>;
  prepare(group: GroupId): Prepared;
}

interface Peer {
  readonly node: NodeId;
  connection: FramedConnection | null;
  /** The boot that has reported over this connection; null before its first report. */
  boot: BootId | null;
  report: NodeReport | null;
  heardMs: number;
  network: number;
  dialling: boolean;
}

const REPORT_MS = 1000;
const SILENCE_MS = 3000;
const REDIAL_MS = 500;
const CONNECT_MS = 1000;
/** Ids of forwarded orders that are remembered with their answers. */
const MAX_REMEMBERED = 256;
const MAX_ASKED = 64;

@injectable()
export class Link implements PeerReports {
  private readonly peers: ReadonlyMap<NodeId, Peer>;
  private readonly asked = new Map<
    string,
    { readonly resolve: (value: unknown) => void; readonly reject: (reason: unknown) => void; readonly timer: Timer }
  >();
  private readonly answered = new Map<string, Promise<{ ok: boolean; value: unknown }>>();
  private readonly servers: { close(): Promise<void> }[] = [];
  private ticking: Timer | null = null;
  private host: LinkHost | null = null;
  private lastSaid = '';
  private changed: () => void = () => undefined;

  constructor(
    @inject(LinkOptions) private readonly options: LinkOptions,
    @inject(Self) private readonly self: Self,
    @inject(Clock) private readonly clock: Clock,
    @inject(Random) private readonly random: Random,
    @inject(Logs) private readonly logs: Logs,
  ) {
    this.peers = new Map(
      Object.keys(options.peers).map((node) => [
        node,
        { node, connection: null, boot: null, report: null, heardMs: Number.NEGATIVE_INFINITY, network: 0, dialling: false },
      ]),
    );
  }

  /** Called when a peer's report says something new. */
  onChange(listener: () => void): void {
    this.changed = listener;
  }

  /** Listens on every own address that can be bound, and dials. A network that is down is tried again, never fatal. */
  async start(host: LinkHost): Promise<void> {
    this.host = host;
    await Promise.all(this.options.own.map((address) => this.listen(address)));
    this.ticking = this.clock.every(REPORT_MS, () => this.tick(), { idle: true });
    this.tick();
  }

  async stop(): Promise<void> {
    this.ticking?.cancel();
    this.host = null;
    for (const peer of this.peers.values()) peer.connection?.close();
    for (const id of this.asked.keys()) this.settle(id, false, 'the link was ended');
    await Promise.all(this.servers.map((server) => server.close()));
  }

  of(node: NodeId): ReturnType<PeerReports['of']> {
    const peer = this.peers.get(node);
    if (peer?.report == null) return null;
    return { ageMs: this.clock.nowMs() - peer.heardMs, cfgHash: peer.report.cfgHash, groups: peer.report.groups };
  }

  /** Sends the report now if it says something else than the last one. Cheap enough for the end of every cycle. */
  reportIfChanged(): void {
    if (this.host === null) return;
    const report = this.host.report();
    const text = JSON.stringify(report);
    if (text === this.lastSaid) return;
    this.lastSaid = text;
    this.toAll({ t: 'report', report });
  }

  /**
   * What the guard hears over the heartbeats. A connection to a boot that is gone is half-open: nobody tells its end, and every
   * question over it would wait for its time limit; what that boot reported last says nothing about this one.
   */
  bootsHeard(peers: readonly { readonly node: NodeId; readonly bootId: BootId | null }[]): void {
    for (const { node, bootId } of peers) {
      const peer = this.peers.get(node);
      if (peer === undefined || bootId === null || peer.report === null || peer.report.bootId === bootId) continue;
      // The new boot may have called already and not yet reported: that connection is good.
      const old = peer.boot !== null;
      peer.report = null;
      if (old) peer.connection?.close();
    }
  }

  connected(node: NodeId): boolean {
    return this.peers.get(node)?.connection != null;
  }

  /** Asks a peer to record an order. Rejects with TIMED_OUT, REFUSED or what the peer's guard said. */
  async forward(node: NodeId, request: OrdersRequest, timeoutMs: number): Promise<unknown> {
    const id = this.random.hex(12);
    return this.ask(node, { t: 'order', id, request }, timeoutMs);
  }

  /** Whether a peer is ready for a group at this moment. Rejects when it does not answer in time. */
  async prepare(node: NodeId, group: GroupId, timeoutMs: number): Promise<Prepared> {
    const value = await this.ask(node, { t: 'prepare', id: this.random.hex(12), group }, timeoutMs);
    return value as Prepared;
  }

  private ask(node: NodeId, message: LinkMessage & { readonly id: string }, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.asked.size >= MAX_ASKED)
        return reject(new UnderstudyError('REFUSED', `${this.asked.size} questions to other nodes wait already`));
      const timer = this.clock.after(timeoutMs, () => {
        this.asked.delete(message.id);
        reject(new UnderstudyError('TIMED_OUT', `${node} did not answer within ${timeoutMs} ms`));
      });
      this.asked.set(message.id, { resolve, reject, timer });
      if (this.peers.get(node)?.connection?.send(message) !== true) this.settle(message.id, false, `there is no link to ${node}`);
    });
  }

  private settle(id: string, ok: boolean, value: unknown): void {
    const waiting = this.asked.get(id);
    if (waiting === undefined) return;
    this.asked.delete(id);
    waiting.timer.cancel();
    if (ok) waiting.resolve(value);
    else waiting.reject(new UnderstudyError('REFUSED', String(value)));
  }

  private tick(): void {
    const nowMs = this.clock.nowMs();
    for (const peer of this.peers.values()) {
      if (peer.connection !== null && nowMs - peer.heardMs > SILENCE_MS) peer.connection.close();
      if (peer.connection === null && this.self.node < peer.node) void this.dial(peer);
    }
    if (this.host === null) return;
    const report = this.host.report();
    this.lastSaid = JSON.stringify(report);
    this.toAll({ t: 'report', report });
  }

  private toAll(message: LinkMessage): void {
    for (const { connection } of this.peers.values()) connection?.send(message);
  }

  private async dial(peer: Peer): Promise<void> {
    const addresses = this.options.peers[peer.node] ?? [];
    if (peer.dialling || addresses.length === 0) return;
    peer.dialling = true;
    const at = peer.network % addresses.length;
    try {
      const [host, localAddress] = [addresses[at]!, this.options.own[at] ?? this.options.own[0]!];
      const { network, port } = this.options;
      const connection = await network.connect({ host, port, localAddress, timeoutMs: CONNECT_MS });
      connection.send({ t: 'hello', v: 1, cluster: this.self.cluster, node: this.self.node } satisfies LinkMessage);
      if (this.host === null) connection.close();
      else this.adopt(peer, connection);
    } catch (error) {
      // The next network next time; a peer that is down is normal, and the guard is the one to say so.
      peer.network = at + 1;
      this.logs.child('link').debug('no link', { peer: peer.node, reason: reasonOf(error) });
    } finally {
      peer.dialling = false;
    }
  }

  private adopt(peer: Peer, connection: FramedConnection): void {
    peer.connection?.close();
    peer.connection = connection;
    peer.boot = null;
    peer.heardMs = this.clock.nowMs();
    this.logs.child('link').info('link up', { peer: peer.node });
    connection.onClose((because) => {
      if (peer.connection !== connection) return;
      peer.connection = null;
      peer.network += 1;
      this.logs.child('link').info('link down', { peer: peer.node, because });
      this.changed();
      if (this.host !== null && this.self.node < peer.node)
        this.clock.after(REDIAL_MS, () => void (peer.connection === null && this.dial(peer)), { idle: true });
    });
    connection.onMessage((value) => this.heard(peer, connection, value));
    if (this.host !== null) connection.send({ t: 'report', report: this.host.report() } satisfies LinkMessage);
  }

  private async listen(address: string): Promise<void> {
    const { network, port } = this.options;
    const log = this.logs.child('link');
    const trouble = (reason: string) => log.warn('cannot listen, other networks may do', { address, reason });
    try {
      const server = await network.listen(address, port, {
        connected: (connection) => this.welcome(connection),
        // A stranger's failed handshake is not worth more than a line.
        refused: (reason) => log.debug('a handshake failed', { reason }),
        trouble,
      });
      this.servers.push(server);
    } catch (error) {
      trouble(reasonOf(error));
    }
  }

  /** The first message says who it is; nobody stays without one. */
  private welcome(connection: FramedConnection): void {
    const timer = this.clock.after(CONNECT_MS, () => connection.close(), { idle: true });
    connection.onMessage((value) => {
      timer.cancel();
      const message = linkMessage(value);
      const peer = message?.t === 'hello' && message.cluster === this.self.cluster ? this.peers.get(message.node) : undefined;
      if (peer === undefined || this.host === null) connection.close();
      else this.adopt(peer, connection);
    });
  }

  private heard(peer: Peer, connection: FramedConnection, value: unknown): void {
    const message = linkMessage(value);
    if (message === null) return;
    peer.heardMs = this.clock.nowMs();
    switch (message.t) {
      case 'report': {
        const news = JSON.stringify(message.report) !== JSON.stringify(peer.report);
        if (message.report.node === peer.node) {
          peer.report = message.report;
          peer.boot = message.report.bootId;
        }
        if (news) this.changed();
        return;
      }
      case 'answer':
        return this.settle(message.id, message.ok, message.value);
      case 'prepare':
        return void connection.send({
          t: 'answer',
          id: message.id,
          ok: true,
          value: this.host?.prepare(message.group) ?? { blockers: ['its controller is ending'] },
        } satisfies LinkMessage);
      case 'order':
        return void this.answerOnce(message.id, message.request).then(({ ok, value: answer }) =>
          connection.send({ t: 'answer', id: message.id, ok, value: answer } satisfies LinkMessage),
        );
      case 'hello':
    }
  }

  private answerOnce(id: string, request: OrdersRequest): Promise<{ ok: boolean; value: unknown }> {
    const known = this.answered.get(id);
    if (known !== undefined) return known;
    const host = this.host;
    const answer = (host === null ? Promise.reject(new Error('its controller is ending')) : host.order(request)).then(
      (value) => ({ ok: true, value }),
      (error: unknown) => ({ ok: false, value: reasonOf(error) as unknown }),
    );
    this.answered.set(id, answer);
    const [oldest] = this.answered.keys();
    if (this.answered.size > MAX_REMEMBERED && oldest !== undefined) this.answered.delete(oldest);
    return answer;
  }
}
