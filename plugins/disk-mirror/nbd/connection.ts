// One client from its first byte to its last: the handshake within its deadline, TLS when it asks, the place at the export,
// then the session. Whatever goes wrong with it ends it, and nobody else. Invariant: the place is given back exactly once,
// after the last request of this client was answered by the export.
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from 'understudy/plugin';
import type { NbdExport } from './export.js';
import { type Agreed, greeting, Negotiation, type Step, type TlsPolicy } from './negotiation.js';
import type { Seat } from './seat.js';
import type { SlabPool } from './slabs.js';
import { SocketWay } from './socket-way.js';
import { type SessionLimits, Transmission } from './transmission.js';

export interface ConnectionOptions {
  readonly exports: readonly NbdExport[];
  readonly seatOf: (served: NbdExport) => Seat;
  readonly tls: TlsPolicy;
  readonly secure: ((under: Socket) => TLSSocket) | null;
  readonly clock: Clock;
  readonly limits: SessionLimits;
  readonly pool: SlabPool;
  /** From the accept to the place at the export; waiting for the place has its own bounds. */
  readonly handshakeMs: number;
  /** For a client to go away by itself after it was told to. */
  readonly lingerMs: number;
  readonly direct: boolean;
  /** Agreed on before there was a connection (the kernel's driver): it begins in the transmission phase. */
  readonly adopted: Agreed | null;
  readonly ending: () => boolean;
  /** An export that broke its word. */
  readonly trouble: (because: string) => void;
  readonly admitted: () => void;
  /** A client that was admitted is gone, and the export owes it nothing. */
  readonly finished: () => void;
  /** The socket is closed. Requests may be under way still. */
  readonly closed: (because: string) => void;
}

/** Replies of the handshake that a client leaves unread. */
const MAX_UNREAD_BYTES = 1024 * 1024;
const NOTHING_SAID = { bytes: Buffer.alloc(0), rest: Buffer.alloc(0) } as const;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #way: SocketWay;
  #negotiation: Negotiation;
  #session: Transmission | null = null;
  #deadline: Timer;
  #withdraw: (() => void) | null = null;
  #closed = false;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#options = options;
    this.#negotiation = new Negotiation({ ...options, secure: false });
    this.#deadline = options.clock.after(options.handshakeMs, () => this.cut('the handshake took too long'));
    this.#way = new SocketWay(
      socket,
      {
        bytes: (chunk) => this.#bytes(chunk),
        ended: () => this.#ended(),
        closed: (because) => this.#whenClosed(because),
        ending: () => this.#linger(options.ending() ? options.lingerMs : options.handshakeMs),
      },
      options.direct,
    );
  }

  /** Apart from the making: an adopted one has its place, or is refused it, at once, and whoever is told knows it by then. */
  open(): void {
    const { adopted } = this.#options;
    if (adopted === null) this.#way.send([greeting()], () => {});
    else this.#enter(adopted);
  }

  /** It has no place yet and does not wait for one. */
  get shakingHands(): boolean {
    return this.#session === null && this.#withdraw === null;
  }

  get underWay(): number {
    return this.#session?.underWay ?? 0;
  }

  cut(because: string): void {
    this.#way.cut(because);
  }

  /** Everything that waits is answered with it; then the client may go, or is cut. */
  shutDown(): void {
    this.#session?.shutDown();
    this.#linger(this.#options.lingerMs);
  }

  #bytes(chunk: Buffer): void {
    if (this.#withdraw !== null) return this.cut('it sent more before it was answered');
    this.#negotiation.push(chunk);
    this.#goOn();
  }

  #goOn(): void {
    for (let step = this.#negotiation.next(); step !== null; step = this.#negotiation.next()) {
      if (!this.#take(step)) return;
      if (this.#way.unsentBytes > MAX_UNREAD_BYTES) return this.cut('it reads no replies');
    }
  }

  /** True = on to the next step. */
  #take(step: Step): boolean {
    switch (step.kind) {
      case 'reply':
        this.#way.send([step.bytes], () => {});
        return true;
      case 'close':
        if (step.bytes === null) this.cut(step.because);
        else {
          this.#way.send([step.bytes], () => {});
          this.#way.end();
        }
        return false;
      case 'tls':
        this.#startTls(step.bytes);
        return false;
      case 'enter':
        this.#enter(step.agreed);
        return false;
    }
  }

  #startTls(answer: Buffer): void {
    const { secure } = this.#options;
    if (secure === null) throw new Error('TLS was agreed on without its set-up');
    this.#negotiation = new Negotiation({ ...this.#options, secure: true }, this.#negotiation.flags);
    this.#way.send([answer], () => {});
    this.#way.replace(secure);
  }

  #enter(agreed: Agreed): void {
    const { seatOf, ending, clock } = this.#options;
    if (ending()) return this.#refused('the server is ending');
    this.#deadline.cancel();
    let answered = false;
    const withdraw = seatOf(agreed.served).claim((refused) => {
      answered = true;
      this.#withdraw = null;
      if (refused === null) return this.#begin(agreed);
      this.#deadline = clock.after(this.#options.handshakeMs, () => this.cut('the handshake took too long'));
      return this.#refused(refused);
    });
    if (answered) return;
    this.#withdraw = withdraw;
    // It was told nothing to wait for: its requests stay in the socket until it has the place.
    if (this.#options.adopted !== null) this.#way.pause();
  }

  #refused(because: string): void {
    if (this.#options.adopted !== null) return this.cut(because);
    if (this.#take(this.#negotiation.refuse(because))) this.#goOn();
  }

  #begin(agreed: Agreed): void {
    const { clock, limits, pool, seatOf, admitted, finished, adopted, trouble } = this.#options;
    const sizeBytes = agreed.served.sizeBytes();
    const { bytes, rest } = adopted === null ? this.#negotiation.admit(sizeBytes) : NOTHING_SAID;
    const session = new Transmission({
      agreed,
      sizeBytes,
      limits,
      pool,
      way: this.#way,
      soon: (run) => clock.soon(run),
      trouble,
      leaving: () => seatOf(agreed.served).left(),
      finished: () => {
        finished();
        seatOf(agreed.served).free();
      },
    });
    this.#session = session;
    this.#served = agreed.served;
    if (bytes.length > 0) this.#way.send([bytes], () => {});
    this.#way.receive(session, rest);
    admitted();
  }
  #served: NbdExport | null = null;

  #ended(): void {
    if (this.#session !== null) this.#session.clientEnded();
    else this.#way.end();
  }

  #linger(forMs: number): void {
    this.#deadline.cancel();
    this.#deadline = this.#options.clock.after(forMs, () => this.cut('it did not go when it was told to'));
  }

  #whenClosed(because: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deadline.cancel();
    this.#withdraw?.();
    this.#withdraw = null;
    if (this.#served !== null) this.#options.seatOf(this.#served).left();
    this.#session?.lost();
    this.#options.closed(because);
  }
}
