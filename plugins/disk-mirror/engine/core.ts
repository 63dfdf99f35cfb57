// What all parts of the engine share: the superblock in memory, role, epoch, time as last told, and the two ways in which all of
// it ends: frozen (lease over, self-fence) and failed (the disk or the metadata answered with an error, SAFETY b.1). Each part is
// a file; they find each other here.
import type { DirtyBits, SuperblockState } from '../metadata/contract.js';
import { begunAnew, copyStateOf } from '../metadata/contract.js';
import { type CopyState, EXTENT_BYTES, type Generation, HISTORY, isNoGeneration, type Role } from '../words.js';
import type { Activity } from './activity.js';
import type { Answers } from './answers.js';
import type { Applier } from './applier.js';
import type { Flushes } from './flushes.js';
import type { Look } from './look.js';
import type { EngineOptions, EngineParts, EnginePorts } from './ports.js';
import type { Promotion } from './promotion.js';
import type { ResyncSource } from './resync-source.js';
import type { ResyncTarget } from './resync-target.js';
import type { Rounds } from './rounds.js';
import type { Session } from './session.js';
import type { Standing } from './standing.js';
import type { Stream } from './stream.js';
import type { Verify } from './verify.js';
import type { WritePath } from './write-path.js';

export class Core {
  readonly ports: EnginePorts;
  readonly options: EngineOptions;
  readonly bits: DirtyBits;
  readonly chunkBytes: number;
  readonly extentBytes: number;
  sb: SuperblockState;
  role: Role = 'secondary';
  serving = false;
  /** Every request ends with an error, and why. */
  frozen: string | null = null;
  failed: string | null = null;
  /** Under which it serves. */
  epoch = 0;
  nowMs = 0;
  victim = false;
  #saves = 0;
  readonly #whenSaved: (() => void)[] = [];

  activity!: Activity;
  answers!: Answers;
  applier!: Applier;
  flushes!: Flushes;
  look!: Look;
  promotion!: Promotion;
  rounds!: Rounds;
  session!: Session;
  source!: ResyncSource;
  standing!: Standing;
  stream!: Stream;
  target!: ResyncTarget;
  verify!: Verify;
  writes!: WritePath;

  constructor({ ports, options, attached }: EngineParts, extentBytes = EXTENT_BYTES) {
    this.ports = ports;
    this.options = options;
    this.bits = attached.bits;
    this.chunkBytes = attached.chunkBytes;
    this.extentBytes = extentBytes;
    const { superblock } = attached;
    this.sb = begunAnew(superblock, options.mode);
    if (superblock.fullSyncNeeded) this.bits.set(0, this.bits.chunks);
  }

  get stopped(): boolean {
    return this.frozen !== null || this.failed !== null;
  }

  copyState(): CopyState {
    return { ...copyStateOf(this.sb, this.options.bootId, this.bits.count(), this.victim), role: this.role };
  }

  /** The superblock with this changed; `saved` when it is durable. An error is the end of this copy. */
  save(change: Partial<SuperblockState>, saved: () => void = () => undefined): void {
    this.sb = { ...this.sb, ...change };
    this.#saves += 1;
    this.ports.metadata.writeSuperblock(this.sb, (error) => {
      this.#saves -= 1;
      if (error !== null) return this.fail(`the superblock cannot be written: ${error.message}`);
      saved();
      if (this.#saves === 0) for (const waiting of this.#whenSaved.splice(0)) waiting();
    });
  }

  /** What stands in memory is on disk too. */
  get saved(): boolean {
    return this.#saves === 0;
  }

  whenSaved(then: () => void): void {
    if (this.saved) then();
    else this.#whenSaved.push(then);
  }

  /** b.1: what the peer gets no more is of a new generation; the one that both had stays the base of the bitmap. */
  newGeneration(): Pick<SuperblockState, 'current' | 'history' | 'peer'> {
    const { current, history, peer } = this.sb;
    const next: Generation = { epoch: this.epoch, counter: current.counter + 1, random: this.ports.random() };
    return {
      current: next,
      history: isNoGeneration(current) ? history : [current, ...history].slice(0, HISTORY),
      peer: { ...peer, bitmapBase: isNoGeneration(peer.bitmapBase) ? current : peer.bitmapBase },
    };
  }

  /** The disk is believed no more: not tried again, everybody told. */
  fail(because: string): void {
    if (this.failed !== null) return;
    this.failed = because;
    this.ports.tell({ kind: 'mirror.failed', because });
    this.sb = { ...this.sb, disk: 'Failed' };
    // Perhaps it is the data alone that failed: then this is remembered. If not, the next attach finds out.
    this.ports.metadata.writeSuperblock(this.sb, () => undefined);
    this.session.tellFailed(because);
    this.writes.endAll('EIO');
  }

  /** SAFETY a.6 `freeze`. Not undone but by a demote. */
  freeze(because: string): void {
    if (this.frozen !== null) return;
    this.frozen = because;
    this.ports.tell({ kind: 'mirror.frozen', because });
    this.writes.endAll('ESHUTDOWN');
    // What waits for the peer ends with the connection.
    this.session.drop(because);
  }

  /** There is a newer epoch (a.11). */
  fence(epoch: number, because: string): void {
    this.ports.fenceSelf(epoch, because);
    this.freeze(because);
  }

  chunkOf(offset: number): number {
    return Math.floor(offset / this.chunkBytes);
  }

  /** Chunks that [begin, end) touches. */
  chunksIn(begin: number, end: number): number {
    return Math.floor((end - 1) / this.chunkBytes) - Math.floor(begin / this.chunkBytes) + 1;
  }

  chunkLength(chunk: number): number {
    return Math.min(this.chunkBytes, this.ports.data.sizeBytes - chunk * this.chunkBytes);
  }
}
