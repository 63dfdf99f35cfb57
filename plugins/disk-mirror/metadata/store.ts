// The MetadataStore over a device: two lanes, one for superblocks, one for log and bitmap, each with one thing under way. The
// order on the disk is the whole safety: bitmap pages of what is put out, then the transaction, then the answer. After the first
// error the store is dead: everything that waits or comes gets that error.
import { MetadataBusy, type MetadataStore, type SuperblockState } from './contract.js';
import type { ChunkBits } from './chunk-bits.js';
import type { MetadataDevice } from './device.js';
import { type Layout, pageOfExtent } from './layout.js';
import type { SlotChange } from './log-block.js';
import { COMMIT_CHANGES, type LogWriter } from './log-writer.js';
import type { PageWriter } from './page-writer.js';
import type { Slots } from './slots.js';
import type { Done, SuperblockWriter } from './superblock-writer.js';

interface Activation {
  readonly kind: 'activate';
  readonly extents: readonly number[];
  readonly mayEvict: (extent: number) => boolean;
  readonly done: Done;
}
interface Checkpoint {
  readonly kind: 'checkpoint';
  readonly done: Done;
}

export interface StoreParts {
  readonly device: MetadataDevice;
  readonly layout: Layout;
  readonly bits: ChunkBits;
  readonly slots: Slots;
  readonly superblocks: Pick<SuperblockWriter, 'busy' | 'write' | 'abandon'>;
  readonly pages: Pick<PageWriter, 'write'>;
  readonly log: Pick<LogWriter, 'commit' | 'restate'>;
  /** Runs the task after the running one, before any time passes. What one turn asks for goes into one transaction that way. */
  readonly defer: (task: () => void) => void;
}

/** What one transaction will change. */
interface Commit {
  readonly answered: Activation[];
  /** All that the answered calls named: none of it may go. */
  readonly named: Set<number>;
  readonly entering: Set<number>;
  readonly leaving: Set<number>;
}

export class DeviceMetadataStore implements MetadataStore {
  readonly maxExtents: number;
  readonly #parts: StoreParts;
  readonly #queue: (Activation | Checkpoint)[] = [];
  /** In the slots and not durable yet. */
  #entering: ReadonlySet<number> = new Set();
  #lane: 'idle' | 'deferred' | 'busy' = 'idle';
  #dead: Error | null = null;
  #closing: (() => void) | null = null;
  #closed: Promise<void> | null = null;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.maxExtents = Math.min(parts.slots.size, COMMIT_CHANGES);
  }

  writeSuperblock(state: SuperblockState, done: Done): void {
    if (this.#dead !== null) return this.#refuse(done);
    this.#parts.superblocks.write(state, (error) => {
      if (error !== null) this.#die(error);
      done(this.#dead);
      this.#settle();
    });
  }

  activate(extents: readonly number[], mayEvict: (extent: number) => boolean, done: Done): void {
    if (extents.length > this.maxExtents) throw new RangeError(`${extents.length} extents in one call; ${this.maxExtents} are possible`);
    for (const extent of extents)
      if (!Number.isInteger(extent) || extent < 0 || extent >= this.#parts.layout.extents)
        throw new RangeError(`extent ${extent} of a volume of ${this.#parts.layout.extents}`);
    if (this.#dead !== null) return this.#refuse(done);
    this.#queue.push({ kind: 'activate', extents, mayEvict, done });
    this.#wake();
  }

  isActive(extent: number): boolean {
    return this.#dead === null && (this.#entering.size === 0 || !this.#entering.has(extent)) && this.#parts.slots.use(extent);
  }

  checkpoint(done: Done): void {
    if (this.#dead !== null) return this.#refuse(done);
    this.#queue.push({ kind: 'checkpoint', done });
    this.#wake();
  }

  close(): Promise<void> {
    this.#closed ??= new Promise<void>((resolve) => {
      this.#closing = resolve;
      this.#settle();
    }).then(() => {
      this.#dead ??= new Error('the metadata is closed');
      return this.#parts.device.close();
    });
    return this.#closed;
  }

  #wake(): void {
    if (this.#lane !== 'idle') return;
    this.#lane = 'deferred';
    this.#parts.defer(() => this.#turn());
  }

  #turn(): void {
    this.#lane = 'idle';
    const [head] = this.#queue;
    if (head === undefined || this.#dead !== null) return this.#settle();
    this.#lane = 'busy';
    if (head.kind === 'checkpoint') this.#runCheckpoint();
    else this.#runCommit();
  }

  /** Answers, then goes on with what was asked meanwhile. */
  #end(error: Error | null, dones: readonly Done[]): void {
    if (error !== null) this.#die(error);
    for (const done of dones) done(this.#dead);
    this.#turn();
  }

  #runCommit(): void {
    const commit = this.#gather();
    const { slots, pages, bits, log, layout } = this.#parts;
    for (const extent of commit.leaving) slots.drop(extent);
    const changes: SlotChange[] = [...commit.entering].map((extent) => ({ slot: slots.take(extent), extent }));
    this.#entering = commit.entering;
    const dones = commit.answered.map(({ done }) => done);
    const end = (error: Error | null): void => {
      this.#entering = new Set();
      this.#end(error, dones);
    };
    if (changes.length === 0) return this.#parts.defer(() => end(null));
    const leaving = new Set([...commit.leaving].map((extent) => pageOfExtent(layout, extent)).filter((page) => bits.differs(page)));
    pages.write(
      [...leaving].sort((one, other) => one - other),
      (error) => (error === null ? log.commit(changes, end) : end(error)),
    );
  }

  // Takes activations from the head of the queue while their extents find room together. The first of them always gets its
  // answer: room, or that there is none.
  #gather(): Commit {
    const commit: Commit = { answered: [], named: new Set(), entering: new Set(), leaving: new Set() };
    for (let head = this.#queue[0]; head?.kind === 'activate'; head = this.#queue[0]) {
      const busy = this.#addTo(commit, head);
      if (busy !== null && commit.answered.length > 0) break;
      this.#queue.shift();
      if (busy !== null) this.#answerBusy(head, busy);
    }
    return commit;
  }

  /** Makes room for a call in this commit; or says why there is none, and the commit stays as it was. */
  #addTo(commit: Commit, call: Activation): string | null {
    const { slots } = this.#parts;
    const fresh = [...new Set(call.extents)].filter((extent) => !slots.has(extent) && !commit.entering.has(extent));
    if (call.extents.some((extent) => commit.leaving.has(extent))) return 'an extent is on its way out';
    if (commit.entering.size + fresh.length > COMMIT_CHANGES) return 'the transaction is full';
    const stays = new Set([...commit.named, ...commit.leaving, ...call.extents]);
    const short = commit.entering.size + fresh.length - commit.leaving.size - slots.free;
    const going = short <= 0 ? [] : slots.idle(short, (extent) => !stays.has(extent) && call.mayEvict(extent));
    if (going.length < short) return `${fresh.length} extents want a slot of the log, and of ${slots.size} none may go`;
    commit.answered.push(call);
    for (const extent of call.extents) commit.named.add(extent);
    for (const extent of fresh) commit.entering.add(extent);
    for (const extent of going) commit.leaving.add(extent);
    return null;
  }

  #answerBusy(call: Activation, why: string): void {
    this.#parts.defer(() => call.done(this.#dead ?? new MetadataBusy(why)));
  }

  #runCheckpoint(): void {
    const { slots, pages, bits, log, layout } = this.#parts;
    const dones: Done[] = [];
    for (let head = this.#queue[0]; head?.kind === 'checkpoint'; head = this.#queue[0]) {
      dones.push(head.done);
      this.#queue.shift();
    }
    const wasUsed = slots.used > 0;
    slots.clear();
    const changed: number[] = [];
    for (let page = 0; page < layout.pages; page++) if (bits.differs(page)) changed.push(page);
    pages.write(changed, (error) => {
      if (error !== null) return this.#end(error, dones);
      if (!wasUsed) return this.#parts.defer(() => this.#end(null, dones));
      log.restate({}, (failed) => this.#end(failed, dones));
    });
  }

  #die(error: Error): void {
    if (this.#dead !== null) return;
    this.#dead = error;
    const waiting = [...this.#queue.splice(0).map(({ done }) => done), ...this.#parts.superblocks.abandon()];
    for (const done of waiting) this.#refuse(done);
  }

  #refuse(done: Done): void {
    this.#parts.defer(() => done(this.#dead));
  }

  #settle(): void {
    if (this.#closing === null || this.#lane !== 'idle' || this.#queue.length > 0 || this.#parts.superblocks.busy) return;
    this.#closing();
    this.#closing = null;
  }
}
