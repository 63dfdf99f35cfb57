// The taking side of a resync (SAFETY b.6): durably Inconsistent before its first byte, so never promotable, and under the
// source's generation, so that the source's bits say what is left after any interruption. Its own bits (it may have been primary
// once, or a full resync set them all) are cleared one by one as data that came for them is durable, never otherwise.
import type { Frame } from '../link/frames.js';
import { NO_GENERATION } from '../words.js';
import type { Core } from './core.js';

/** Chunks of the bitmap in one frame. */
const RUN_CHUNKS = 4 * 1024 * 1024;
/** How often a long resync makes durable what it has got. */
const CHECKPOINT_MS = 30_000;

export class ResyncTarget {
  readonly #core: Core;
  #step: 'idle' | 'offered' | 'marking' | 'taking' | 'ending' = 'idle';
  #run = 0;
  /** Written, not yet flushed. */
  #received: number[] = [];
  #doneChunks = 0;
  #ofChunks = 0;
  #kind: string = 'bitmap';
  #checkpointMs = 0;
  #dirtySince = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** It gives way to the peer's copy, now or in a moment. */
  get active(): boolean {
    return this.#step !== 'idle';
  }

  get progress(): { readonly kind: string; readonly doneBytes: number; readonly ofBytes: number } {
    const { chunkBytes } = this.#core;
    return { kind: this.#kind, doneBytes: this.#doneChunks * chunkBytes, ofBytes: this.#ofChunks * chunkBytes };
  }

  /** Both agreed that this copy is the target: it says which of its chunks may differ. */
  sendBitmap(how: 'bitmap' | 'full'): void {
    const { bits, chunkBytes, ports, session } = this.#core;
    this.#step = 'offered';
    if (how === 'full') return;
    for (let first = 0; first < bits.chunks; first += RUN_CHUNKS) {
      const count = Math.min(RUN_CHUNKS, bits.chunks - first);
      const at = bits.next(first);
      const last = first + count >= bits.chunks;
      const run = at >= 0 && at < first + count ? bits.slice(first, count) : new Uint8Array(0);
      if (run.length > 0 || last) ports.send({ t: 'bitmap', epoch: session.epoch, chunkBytes, first, bits: run, last });
    }
  }

  begin({ kind, chunks, current }: Extract<Frame, { t: 'sync-begin' }>): void {
    const core = this.#core;
    if (core.role === 'primary' || kind === 'verify') return core.session.drop(`a resync for a ${core.role}`);
    this.#step = 'marking';
    this.#kind = kind;
    this.#run += 1;
    this.#doneChunks = 0;
    this.#ofChunks = kind === 'bitmap' ? chunks : core.bits.chunks;
    this.#received = [];
    core.session.syncing();
    const run = this.#run;
    const mark = () => {
      if (run !== this.#run) return;
      const { peer, node } = core.sb;
      // What was begun by checksum and did not end goes on so.
      const seeded = kind === 'bitmap' && core.sb.resync?.kind === 'checksum';
      const resync = { source: peer.node, kind: seeded ? 'checksum' : kind } as const;
      core.save(
        { node, disk: 'Inconsistent', current, resync, fullSyncNeeded: false, peer: { ...peer, bitmapBase: NO_GENERATION } },
        () => {
          if (run !== this.#run) return;
          this.#step = 'taking';
          this.#checkpointMs = core.nowMs;
          core.ports.tell({ kind: 'mirror.resync-start', because: core.session.because, data: { kind, chunks: this.#ofChunks } });
          core.ports.send({ t: 'sync-ready', epoch: core.session.epoch });
        },
      );
    };
    if (kind === 'bitmap') return mark();
    // All of it may differ: durable, so that an interrupted full resync goes on where it was.
    core.bits.set(0, core.bits.chunks);
    core.ports.metadata.checkpoint((error) => (error === null ? mark() : core.fail(`the bitmap cannot be written: ${error.message}`)));
    return undefined;
  }

  /** These bytes of the source are written here. */
  received(begin: number, end: number): void {
    const first = this.#core.chunkOf(begin);
    const count = this.#core.chunksIn(begin, end);
    for (let chunk = first; chunk < first + count; chunk++) this.#received.push(chunk);
    this.#doneChunks += count;
  }

  /** What a flush that begins now covers. */
  takeReceived(): readonly number[] {
    const received = this.#received;
    this.#received = [];
    return received;
  }

  durable(chunks: readonly number[]): void {
    for (const chunk of chunks) this.#core.bits.clear(chunk);
    this.#dirtySince ||= chunks.length > 0;
  }

  end({ current, history }: Extract<Frame, { t: 'sync-end' }>): void {
    const core = this.#core;
    if (this.#step !== 'taking') return core.session.drop('the end of a resync that was not begun');
    if (core.bits.count() > 0) return core.session.drop(`${core.bits.count()} dirty chunks of this copy were not sent`);
    this.#step = 'ending';
    const run = this.#run;
    const peer = { ...core.sb.peer, bootId: core.session.peer!.bootId, disk: 'UpToDate', bitmapBase: NO_GENERATION } as const;
    core.victim = false;
    core.save({ disk: 'UpToDate', current, history, resync: null, primaryIndicator: false, forced: false, peer }, () => {
      if (run !== this.#run) return;
      this.#step = 'idle';
      core.ports.tell({ kind: 'mirror.resync-end', because: 'both copies are equal', data: { chunks: this.#ofChunks } });
      core.ports.metadata.checkpoint((error) => error !== null && core.fail(`the bitmap cannot be written: ${error.message}`));
      core.ports.send({ t: 'sync-ended', epoch: core.session.epoch });
      core.session.mirroring();
    });
    return undefined;
  }

  /** The primary goes on without this copy, connected as it is. */
  outdate(id: number): void {
    const core = this.#core;
    const { disk } = core.sb;
    // Nobody may take a copy out of the running that is about to be promoted under a newer epoch (a.7b).
    if (core.role === 'primary' || core.promotion.pending || (disk !== 'UpToDate' && disk !== 'Consistent')) return;
    core.save({ disk: 'Outdated' }, () => core.ports.send({ t: 'outdated', epoch: core.session.epoch, id }));
  }

  /** The connection is gone: what has not come is still dirty. */
  stop(): void {
    this.#run += 1;
    this.#step = 'idle';
    this.#received = [];
  }

  tick(): void {
    if (this.#step !== 'taking' || !this.#dirtySince || this.#core.nowMs - this.#checkpointMs < CHECKPOINT_MS) return;
    this.#checkpointMs = this.#core.nowMs;
    this.#dirtySince = false;
    this.#core.ports.metadata.checkpoint((error) => error !== null && this.#core.fail(`the bitmap cannot be written: ${error.message}`));
  }
}
