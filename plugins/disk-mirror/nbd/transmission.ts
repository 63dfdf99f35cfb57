// One client in the transmission phase: requests in, the export asked, replies out. Bounded: so many requests and so many
// bytes are taken in and not yet answered into the socket; at the bound the client is not read any more. Invariant: what
// the export was asked for it may finish, whatever becomes of the client; `finished` is told when the last one is.
import { ask, askStatus } from './ask.js';
import type { NbdErrorName, NbdExport, ReadHole } from './export.js';
import { Intake, type RequestSink, type Verdict } from './intake.js';
import { ENDING, judge, type Refusal, type SessionFacts } from './judge.js';
import type { Agreed } from './negotiation.js';
import { servedBytes } from './option-codec.js';
import { Outbox, type Wire } from './outbox.js';
import { type Pending, PendingPool } from './pending.js';
import { COMMAND, ERROR, FLAG } from './protocol.js';
import { readPieces, replyError, replySimple, replyStatus } from './replies.js';
import type { Slab, SlabPool } from './slabs.js';

export interface SessionLimits {
  readonly requests: number;
  /** Of payloads in both directions; one request is always let in. */
  readonly bytes: number;
}

/** The socket, as a session needs it. */
export interface Way extends Wire {
  /** Read on. */
  resume(): void;
  /** Close after what was sent. */
  end(): void;
  /** Close at once. */
  cut(because: string): void;
}

export interface SessionOptions {
  readonly agreed: Agreed;
  readonly sizeBytes: number;
  readonly limits: SessionLimits;
  readonly pool: SlabPool;
  readonly way: Way;
  /** Runs it later in this turn of the loop, behind the answers that come with this one. */
  readonly soon: (run: () => void) => void;
  /** The export broke its word, or cannot say what it should. */
  readonly trouble: (because: string) => void;
  /** The client wants nothing more than its answers. Once, if ever. */
  readonly leaving: () => void;
  /** The client is gone, and the export owes nothing. Once. */
  readonly finished: () => void;
}

/** More than this is not held back for company. */
const FLUSH_BYTES = 256 * 1024;
/** An answer to BLOCK_STATUS may become so long. */
const STATUS_BYTES = 256 * 1024;

export class Transmission implements RequestSink {
  readonly #served: NbdExport;
  readonly #options: SessionOptions;
  readonly #facts: SessionFacts;
  readonly #intake: Intake;
  readonly #outbox: Outbox;
  readonly #pending = new PendingPool(this);
  #receiving: Pending | null = null;
  #requests = 0;
  #bytes = 0;
  #underWay = 0;
  /** Inside a call of ours: answers gather until it ends. */
  #inside = false;
  #scheduled = false;
  #waiting = false;
  #ending = false;
  #leaving = false;
  #gone = false;
  #finished = false;

  constructor(options: SessionOptions) {
    const { agreed, sizeBytes, pool, way } = options;
    this.#options = options;
    this.#served = agreed.served;
    this.#facts = {
      sizeBytes: servedBytes(agreed.served, sizeBytes),
      readOnly: agreed.served.readOnly,
      minimumBlockBytes: agreed.served.minimumBlockBytes,
      maximumBlockBytes: agreed.served.maximumBlockBytes,
      structured: agreed.structured,
      contexts: agreed.contexts.length,
    };
    this.#intake = new Intake(this, pool);
    this.#outbox = new Outbox(way, pool, (replies, bytes) => this.#sent(replies, bytes));
  }

  /** Requests the export has not answered. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Where the socket puts its next bytes. */
  target(): Buffer {
    return this.#intake.target();
  }

  /** False = do not read on until `resume`. */
  received(count: number): boolean {
    if (this.#gone || this.#leaving) return false;
    return this.#run(() => this.#intake.received(count));
  }

  /** The client sends nothing any more, in peace (DISC) or not: what is under way is answered, then it is closed. */
  clientEnded(): void {
    if (this.#gone) return;
    this.#beginLeaving();
    this.#run(() => true);
  }

  /** The socket is closed. */
  lost(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#dropReceiving();
    this.#intake.close();
    this.#outbox.close();
    this.#finish();
  }

  /** From now on every request is answered ESHUTDOWN, those that wait at the export too. */
  shutDown(): void {
    if (this.#gone) return;
    this.#ending = true;
    this.#run(() => {
      for (const pending of this.#pending.waiting()) {
        // Its payload is not whole yet: it is answered when it is.
        if (pending === this.#receiving) continue;
        pending.told = true;
        this.#refuse(pending, ENDING);
      }
      return true;
    });
    this.#goOn();
  }

  /** For the intake alone. */
  header(intake: Intake): Verdict {
    const { command, length } = intake;
    if (this.#requests >= this.#options.limits.requests) return this.#wait();
    if (command === COMMAND.disconnect) {
      this.#beginLeaving();
      return 'stop';
    }
    const write = command === COMMAND.write;
    const refusal = this.#ending ? ENDING : judge(this.#facts, command, intake.flags, intake.offset, length);
    if (refusal !== null) {
      this.#requests += 1;
      this.#refuse(intake, refusal, 0);
      return write ? 'discard' : 'next';
    }
    const counted = write || command === COMMAND.read ? length : command === COMMAND.blockStatus ? STATUS_BYTES * this.#facts.contexts : 0;
    if (this.#bytes > 0 && this.#bytes + counted > this.#options.limits.bytes) return this.#wait();
    const pending = this.#begin(intake, counted);
    if (write) {
      this.#receiving = pending;
      return 'payload';
    }
    if (command === COMMAND.blockStatus) void this.#status(pending);
    else ask(this.#served, pending, this.#outbox, this.#facts.structured);
    return 'next';
  }

  payload(_intake: Intake, bytes: Buffer, slab: Slab): void {
    const pending = this.#receiving as Pending;
    this.#receiving = null;
    slab.hold();
    pending.slab = slab;
    // The shutdown came while this was on its way in.
    if (this.#ending) pending.done('ESHUTDOWN');
    else this.#served.write(bytes, pending.offset, (pending.flags & FLAG.fua) !== 0, pending.done);
  }

  broken(): void {
    this.#options.way.cut('what it sends is no request');
  }

  /** For the pending ones alone: the export answered. */
  answered(pending: Pending, error: NbdErrorName | null, holes: readonly ReadHole[] | undefined): void {
    this.#underWay -= 1;
    const slab = pending.slab;
    pending.slab = null;
    const isRead = pending.command === COMMAND.read;
    if (this.#gone || pending.told) {
      slab?.release();
      if (this.#gone && !pending.told) this.#sent(1, pending.countedBytes);
    } else if (error !== null) {
      slab?.release();
      this.#refuse(pending, { error: ERROR[error], because: '' });
    } else if (isRead && slab !== null) {
      readPieces(this.#outbox, pending, slab, this.#facts.structured, holes ?? []);
      this.#outbox.reply(slab, pending.countedBytes);
    } else {
      slab?.release();
      replySimple(this.#outbox, pending, 0, pending.countedBytes);
    }
    this.#pending.back(pending);
    if (this.#outbox.readyBytes > FLUSH_BYTES) this.#outbox.flush();
    if (this.#inside) return;
    // The last of all that is under way has no company to wait for.
    if (this.#underWay === 0) this.#sendOff();
    else this.#schedule();
  }

  #begin(intake: Intake, countedBytes: number): Pending {
    this.#requests += 1;
    this.#bytes += countedBytes;
    this.#underWay += 1;
    return this.#pending.take(intake, countedBytes);
  }

  async #status(pending: Pending): Promise<void> {
    const { agreed, trouble } = this.#options;
    const runs = await askStatus(this.#served, pending, agreed.contexts, trouble);
    if (runs === null || this.#gone || pending.told) return pending.done('EIO');
    replyStatus(this.#outbox, pending, runs, pending.countedBytes);
    // The reply is this one: the answer below makes no other.
    pending.told = true;
    pending.done(null);
  }

  #refuse(to: Pending | Intake, refusal: Refusal, countedBytes = (to as Pending).countedBytes): void {
    if (this.#facts.structured) replyError(this.#outbox, to, refusal, countedBytes);
    else replySimple(this.#outbox, to, refusal.error, countedBytes);
  }

  #wait(): Verdict {
    this.#waiting = true;
    return 'wait';
  }

  /** The socket has taken replies: there is room for more. */
  #sent(replies: number, bytes: number): void {
    this.#requests -= replies;
    this.#bytes -= bytes;
    if (!this.#inside) this.#goOn();
  }

  #goOn(): void {
    if (!this.#waiting || this.#gone) return;
    this.#waiting = false;
    if (this.#run(() => this.#intake.go())) this.#options.way.resume();
  }

  /** Everything that may produce replies runs in here: they go out together at its end. */
  #run(work: () => boolean): boolean {
    this.#inside = true;
    const more = work();
    this.#inside = false;
    if (this.#gone) return false;
    this.#outbox.flush();
    this.#leave();
    return more;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.soon(() => {
      this.#scheduled = false;
      this.#sendOff();
    });
  }

  #sendOff(): void {
    if (this.#gone) return this.#finish();
    this.#outbox.flush();
    this.#leave();
  }

  #beginLeaving(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#options.leaving();
  }

  #leave(): void {
    if (!this.#leaving) return;
    this.#dropReceiving();
    if (this.#underWay === 0) this.#options.way.end();
  }

  /** Half a payload is no write: the export never hears of it. */
  #dropReceiving(): void {
    const pending = this.#receiving;
    if (pending === null) return;
    this.#receiving = null;
    pending.abandon();
    this.#underWay -= 1;
  }

  #finish(): void {
    if (!this.#gone || this.#underWay > 0 || this.#finished) return;
    this.#finished = true;
    this.#options.finished();
  }
}
