// Whether the peer counts for the answers of a primary, and the way from one to the other (W2, b.2 "fence the copy"). The way out is
// always the same: hold everything that wants to be written, have the record changed, a new generation durable, go on alone. It is
// taken by the first write that the peer does not get, not by the loss itself: a peer without whom nothing was written is still in
// sync. The way in: counted first, in the record then. What is asked of the guard is asked one at a time.
import { isNoGeneration, NO_GENERATION } from '../words.js';
import type { Core } from './core.js';
import type { InSyncAnswer } from './ports.js';

/**
 * together: in the record, connected. joining: connected and counted, the record does not say so yet. lost: perhaps in the record,
 * not connected, nothing written since. removing: asked out. alone. meeting: the superblock is told of the peer before it counts.
 */
export type StandingState = 'together' | 'joining' | 'lost' | 'removing' | 'alone' | 'meeting';

const REMOVE_AGAIN_MS = 250;
const ADD_AGAIN_MS = 1_000;

export class Standing {
  readonly #core: Core;
  #state: StandingState = 'lost';
  #asking: 'add' | 'remove' | null = null;
  #askAgainMs = 0;
  /** The record may have the peer, whatever the page says: until a `remove` of this primary was answered by ok. */
  #mayBeIn = true;
  /** The boot of the peer that the record surely has, by its answer to this primary. */
  #recorded: string | null = null;
  /** The peer is whole, the record may be told. */
  #mayAdd = false;
  /** The peer's copy may be of the current generation: what it does not get must be of another. */
  #shared = true;
  #making = false;
  #throttled = false;
  #because = 'not yet met';
  readonly #whenRemoved: (() => void)[] = [];
  /**
   * What is seen here stays: the peer has the same, but for what is under way, or the generations already say who is right. A standby
   * that has taken over may hold what the old primary had sent and not written, a primary that came back may lack what it had sent;
   * shown before this holds, it could vanish, or come back, when the two meet.
   */
  even = false;
  /** Requests before this one are on the peer's copy, whoever answered. */
  coveredSerial = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  get state(): StandingState {
    return this.#state;
  }

  /** Writes are answered when the peer has them. */
  get counted(): boolean {
    return this.#state === 'together' || this.#state === 'joining';
  }

  /** Why requests are parked, null = they are not. */
  get suspended(): string | null {
    if (this.#core.writes.parked === 0 && this.#core.flushes.waiting === 0) return null;
    if (this.#throttled) return 'the peer lags behind by as much as it may';
    return this.blocks() ? this.#because : null;
  }

  /** Whether a write must wait until this is settled. */
  blocks(): boolean {
    switch (this.#state) {
      case 'together':
      case 'joining':
        return this.#lagsTooMuch();
      case 'alone':
        return this.#making || this.#generationDue();
      case 'lost':
      case 'removing':
      case 'meeting':
        return true;
    }
  }

  /** Somebody waits. */
  waiting(): void {
    if (this.#core.role !== 'primary' || this.#core.stopped) return;
    if (this.#state === 'lost') this.#remove();
    else if (this.#state === 'alone' && !this.#making && this.#generationDue()) this.#makeGeneration(() => undefined);
  }

  /** Something is carried out that the peer does not have, and the record calls it in sync. */
  missed(): void {
    if (this.#state === 'lost') this.#remove();
  }

  /**
   * A new primary, nothing written yet. What the record says is asked before the first answer without the peer: a change that an
   * earlier process of this node had asked for may be on its way still.
   */
  begin(even: boolean): void {
    this.even = even;
    this.#shared = true;
    this.#making = false;
    this.#mayAdd = false;
    this.#mayBeIn = true;
    this.#recorded = null;
    this.coveredSerial = 0;
    this.#state = 'lost';
    this.#because = 'the peer is not connected';
  }

  /** The connection is gone. */
  lose(because: string): void {
    this.#because = because;
    this.#mayAdd = false;
    if (this.#state !== 'together' && this.#state !== 'joining' && this.#state !== 'meeting') return;
    const out = !this.#mayBeIn && this.#asking === null;
    this.#state = out ? 'alone' : 'lost';
    this.#throttled = false;
  }

  /** After `lose`, when everybody who waited for the peer is parked. */
  settle(): void {
    if (this.#core.role !== 'primary') return;
    if (this.#state === 'alone') this.#goOn();
    else if (this.#core.writes.parked > 0 || this.#core.flushes.waiting > 0) this.waiting();
  }

  /** Both are of one generation and no chunk may differ: `then` when writes may flow to both. */
  meet(bootId: string, then: () => void): void {
    this.#state = 'meeting';
    const { session, link } = this.#core.session;
    this.#core.save(this.#together(bootId), () => {
      if (this.#core.session.session !== session || this.#core.session.link !== link || this.#state !== 'meeting') return;
      then();
      this.#shared = true;
      this.count();
      this.join();
      this.#goOn();
    });
  }

  /** A source begins a resync: the peer must be out of the record, and what is written meanwhile of a generation of its own. */
  requireAlone(then: () => void): void {
    this.#mayAdd = false;
    const based = () => {
      if (this.#state !== 'alone') return;
      if (isNoGeneration(this.#core.sb.peer.bitmapBase)) this.#makeGeneration(then);
      else then();
    };
    if (this.#state === 'alone' && !this.#making) return based();
    this.#whenRemoved.push(based);
    if (this.#state === 'lost' || this.#state === 'together' || this.#state === 'joining') this.#remove();
  }

  /** The target takes the current generation now. */
  share(): void {
    this.#shared = true;
  }

  /** From now on nothing is answered that the peer does not have. */
  count(): void {
    this.coveredSerial = this.#core.writes.serial;
    this.#mayAdd = false;
    this.even = true;
    this.#state = 'joining';
  }

  /** The peer has everything, durably: the record may say so. */
  join(): void {
    this.#mayAdd = true;
    const { ports, sb } = this.#core;
    // An entry of an earlier boot does not count, and is replaced.
    const known = this.#recorded === sb.peer.bootId && this.#asking === null;
    if (known && ports.lease().peerInSync) this.#state = 'together';
    else this.#ask();
  }

  tick(): void {
    const { role, stopped, nowMs } = this.#core;
    if (role !== 'primary' || stopped) return;
    if (nowMs >= this.#askAgainMs) this.#ask();
    this.lagChanged();
  }

  /** The peer has applied more, or time has gone on. */
  lagChanged(): void {
    if (!this.#throttled || this.#lagsTooMuch()) return;
    this.#goOn();
  }

  /** What the superblock says while both are one. */
  #together(bootId: string) {
    const { peer } = this.#core.sb;
    return { disk: 'UpToDate', peer: { ...peer, bootId, disk: 'UpToDate', bitmapBase: NO_GENERATION } } as const;
  }

  /** Made durable when a resync has ended. */
  saveTogether(bootId: string, then: () => void): void {
    this.#core.save(this.#together(bootId), then);
  }

  #generationDue(): boolean {
    return this.#shared && !this.#core.stream.open;
  }

  #lagsTooMuch(): boolean {
    const { mode, async } = this.#core.options;
    if (mode !== 'async') return false;
    const { lagBytes, lagMs } = this.#core.stream;
    const much = lagBytes > async.maxLagBytes || lagMs > async.maxLagMs;
    if (much && async.full === 'behind') {
      this.#core.session.drop(`behind: ${lagBytes} bytes, ${lagMs} ms`);
      return true;
    }
    this.#throttled = much;
    return much;
  }

  #remove(): void {
    this.#state = 'removing';
    this.#core.ports.tell({ kind: 'mirror.suspended', because: this.#because });
    this.#ask();
  }

  #ask(): void {
    if (this.#asking !== null) return;
    const { ports, sb } = this.#core;
    if (this.#state === 'removing') {
      if (!this.#mayBeIn) return this.#removed();
      this.#asking = 'remove';
    } else if (this.#state === 'joining' && this.#mayAdd) {
      this.#mayBeIn = true;
      this.#asking = 'add';
    } else return;
    const { bootId } = sb.peer;
    this.#recorded = null;
    ports.inSync(this.#asking, sb.current, (answer) => this.#answered(answer, bootId), bootId);
  }

  #answered(answer: InSyncAnswer, bootId: string): void {
    const asked = this.#asking;
    this.#asking = null;
    if (this.#core.role !== 'primary' || this.#core.stopped) return;
    if (answer.kind !== 'ok') {
      this.#core.ports.tell({ kind: `mirror.in-sync-${answer.kind}`, because: answer.because, data: { asked } });
      this.#askAgainMs = this.#core.nowMs + (asked === 'remove' ? REMOVE_AGAIN_MS : ADD_AGAIN_MS);
      return;
    }
    if (asked === 'remove') this.#mayBeIn = false;
    if (asked === 'remove' && this.#state === 'removing') return this.#removed();
    if (asked === 'add' && this.#state === 'joining') {
      this.#recorded = bootId;
      this.#state = 'together';
      this.#core.ports.tell({ kind: 'mirror.in-sync', because: 'the peer has every write, and the record says so' });
      return;
    }
    // What was asked for is no longer what is wanted: the record is changed back.
    this.#ask();
  }

  #removed(): void {
    const { writes, flushes } = this.#core;
    this.#state = 'alone';
    this.#core.ports.tell({ kind: 'mirror.alone', because: this.#because });
    const then = () => {
      for (const waiting of this.#whenRemoved.splice(0)) waiting();
    };
    if (this.#generationDue() && (writes.parked > 0 || flushes.waiting > 0 || !this.even)) return this.#makeGeneration(then);
    this.#core.save({ peer: { ...this.#core.sb.peer, disk: 'Outdated' } });
    this.#goOn();
    return then();
  }

  #makeGeneration(then: () => void): void {
    if (this.#making) return void this.#whenRemoved.push(then);
    this.#making = true;
    this.#shared = false;
    const { current, history, peer } = this.#core.newGeneration();
    // A hello under way says what is no longer true.
    this.#core.session.stateMoved();
    this.#core.save({ current, history, peer: { ...peer, disk: 'Outdated' } }, () => {
      this.#making = false;
      this.even = true;
      then();
      for (const waiting of this.#whenRemoved.splice(0)) waiting();
      this.#goOn();
    });
    return undefined;
  }

  #goOn(): void {
    this.#throttled = false;
    this.#core.writes.resume();
    this.#core.flushes.pump();
    this.#core.answers.retry();
  }
}
