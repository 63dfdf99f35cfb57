// What goes to the peer in order: writes and flushes, numbered within a session. The ring remembers of each what is still owed: the
// request that waits for its answer, its bytes, when it left. Answers are cumulative.
import type { Frame } from '../link/frames.js';
import type { Core } from './core.js';
import type { Request } from './request.js';

export class Stream {
  readonly #core: Core;
  /** Names the session whose stream this is, 0 = none. */
  session = 0;
  #lastSession = 0;
  #seq = 0;
  /** What the peer has, as far as answers to the application go: applied, or received where that is enough. */
  #has = 0;
  #applied = 0;
  #received = 0;
  #requests: (Request | null)[] = Array.from({ length: 1024 }, () => null);
  #bytes = new Float64Array(1024);
  #sentMs = new Float64Array(1024);
  #unappliedBytes = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  get open(): boolean {
    return this.session !== 0;
  }

  /** Bytes sent and not applied. */
  get lagBytes(): number {
    return this.#unappliedBytes;
  }

  /** How long the oldest of them has been under way. */
  get lagMs(): number {
    return this.#applied === this.#seq ? 0 : this.#core.nowMs - this.#sentMs[(this.#applied + 1) & this.#mask]!;
  }

  /** How long the oldest write that an application waits for has been under way. */
  get waitedMs(): number {
    for (let seq = this.#has + 1; seq <= this.#seq; seq++)
      if (this.#requests[seq & this.#mask] !== null) return this.#core.nowMs - this.#sentMs[seq & this.#mask]!;
    return 0;
  }

  /** Opens it; where it is open it goes on, for answers to its numbers are still coming. */
  start(): void {
    if (this.open) return;
    this.#lastSession += 1;
    this.session = this.#lastSession;
    this.#seq = 0;
    this.#has = 0;
    this.#applied = 0;
    this.#received = 0;
    this.#unappliedBytes = 0;
  }

  /** The peer has it, whatever it was sent for. */
  has({ session, seq }: Request): boolean {
    return seq > 0 && session === this.session && seq <= this.#has;
  }

  write(request: Request): void {
    const { begin, end } = request;
    const seq = this.#next(request.awaitsPeer ? request : null, end - begin);
    request.session = this.session;
    request.seq = seq;
    this.#core.rounds.list(this.#core.chunkOf(begin), this.#core.chunksIn(begin, end));
    const frame = this.#frameOf(request, seq);
    // Where nobody waits for the peer, the application has its buffer back before the link has sent it.
    if (request.awaitsPeer) this.#core.ports.send(frame);
    else this.#core.ports.sendBrief(frame);
  }

  flush(): number {
    const seq = this.#next(null, 0);
    this.#core.ports.send({ t: 'flush', epoch: this.#core.session.epoch, seq });
    return seq;
  }

  received(seq: number): void {
    if (seq > this.#received) this.#received = seq;
    this.#answerReceived();
  }

  applied(seq: number): void {
    const upTo = Math.min(seq, this.#seq);
    for (let at = this.#applied + 1; at <= upTo; at++) this.#unappliedBytes -= this.#bytes[at & this.#mask]!;
    if (upTo > this.#applied) this.#applied = upTo;
    this.#answer(upTo);
    this.#answerReceived();
  }

  /** Nothing more is coming. What an application waits for is parked. */
  lose(): void {
    if (!this.open) return;
    this.session = 0;
    for (let seq = this.#has + 1; seq <= this.#seq; seq++) {
      const request = this.#requests[seq & this.#mask];
      this.#requests[seq & this.#mask] = null;
      if (request != null) this.#core.writes.lostPeer(request);
    }
    this.#seq = 0;
    this.#has = 0;
    this.#applied = 0;
    this.#received = 0;
    this.#unappliedBytes = 0;
  }

  get #mask(): number {
    return this.#requests.length - 1;
  }

  /** Semi-sync. What the peer has received and does not keep up with lies in its memory: then only what is applied counts. */
  #answerReceived(): void {
    const { mode, targetLagBytes } = this.#core.options;
    if (mode === 'semi-sync' && this.#unappliedBytes <= targetLagBytes) this.#answer(this.#received);
  }

  #answer(seq: number): void {
    const upTo = Math.min(seq, this.#seq);
    while (this.#has < upTo) {
      this.#has += 1;
      const at = this.#has & this.#mask;
      const request = this.#requests[at];
      if (request == null) continue;
      this.#requests[at] = null;
      this.#core.writes.peerHas(request);
    }
  }

  #next(request: Request | null, bytes: number): number {
    const oldest = Math.min(this.#has, this.#applied);
    if (this.#seq - oldest >= this.#requests.length - 1) this.#grow();
    this.#seq += 1;
    const at = this.#seq & this.#mask;
    this.#requests[at] = request;
    this.#bytes[at] = bytes;
    this.#sentMs[at] = this.#core.nowMs;
    this.#unappliedBytes += bytes;
    return this.#seq;
  }

  #frameOf(request: Request, seq: number): Frame {
    const { epoch } = this.#core.session;
    const { begin: offset, end } = request;
    switch (request.kind) {
      case 'zero':
        return { t: 'zero', epoch, seq, offset, length: end - offset, mayPunch: request.mayPunch };
      case 'trim':
        return { t: 'trim', epoch, seq, offset, length: end - offset };
      case 'write':
      case 'read':
      case 'flush':
        return { t: 'write', epoch, seq, offset, bytes: request.bytes };
    }
  }

  #grow(): void {
    const { length } = this.#requests;
    const requests: (Request | null)[] = Array.from({ length: length * 2 }, () => null);
    const bytes = new Float64Array(length * 2);
    const sentMs = new Float64Array(length * 2);
    for (let seq = Math.min(this.#has, this.#applied) + 1; seq <= this.#seq; seq++) {
      const from = seq & (length - 1);
      const to = seq & (length * 2 - 1);
      requests[to] = this.#requests[from]!;
      bytes[to] = this.#bytes[from]!;
      sentMs[to] = this.#sentMs[from]!;
    }
    this.#requests = requests;
    this.#bytes = bytes;
    this.#sentMs = sentMs;
  }
}
