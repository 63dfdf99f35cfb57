// Drives a metadata store through a random life on a disk that answers when told, cuts the power at every step in several ways,
// attaches what is left, and says what is wrong. The rules (SAFETY b.3 rows 17, 18; b.8): what was dirty, or active and answered,
// is dirty; the superblock is none older than the last answered one; one good copy is enough; a torn block is never taken for a
// damaged one. Everything follows from the seed.
import { attachMetadata } from '../../../plugins/disk-mirror/metadata/attach.js';
import type { MetadataStore } from '../../../plugins/disk-mirror/metadata/contract.js';
import { chunksOfExtent, LOG_AT, SUPERBLOCK_AT } from '../../../plugins/disk-mirror/metadata/layout.js';
import { DeviceMetadataStore, type StoreParts } from '../../../plugins/disk-mirror/metadata/store.js';
import type { CrashDisk } from './crash-disk.js';
import { expectedOf, freshDisk, partsOf, settled } from './metadata-copy.js';
import { superblockState } from './superblock-state.js';

const EXTENTS = 256;
const SLOTS = 16;
/** Of 4 KiB in 4 MiB. */
const CHUNKS_PER_EXTENT = 1024;

/** What a mutant has in the place of the store's parts. */
export type Mutation = (parts: StoreParts) => StoreParts;

export interface CrashRun {
  readonly seed: number;
  readonly steps: number;
  readonly mutate?: Mutation;
  /** The power is cut at every so many steps. Default 1. */
  readonly every?: number;
  /** Default true. Without them what stays in its slot is told by the log alone. */
  readonly checkpoints?: boolean;
}

export interface CrashReport {
  /** Power cuts that were looked at. */
  readonly crashes: number;
  /** Blocks that went into the log. */
  readonly transactions: number;
  /** The first broken rule, with the step; null = none. */
  readonly broken: string | null;
}

export const randomFrom = (seed: number) => {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  const next = (below: number): number => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
  return next;
};

/** What must be there after a power cut at this moment. */
interface Promised {
  readonly dirty: readonly number[];
  readonly activeExtents: readonly number[];
  readonly epochAnswered: number;
  readonly epochIssued: number;
}

class Life {
  readonly disk: CrashDisk;
  readonly store: MetadataStore;
  readonly parts: StoreParts;
  readonly #random: (below: number) => number;
  readonly #answered = new Set<number>();
  readonly #underWay = new Map<number, number>();
  #issued = 0;
  #durable = 0;

  constructor(disk: CrashDisk, parts: StoreParts, random: (below: number) => number) {
    this.disk = disk;
    this.parts = parts;
    this.store = new DeviceMetadataStore(parts);
    this.#random = random;
  }

  /** After each step: what was put out since stands in its page, and is no longer active. */
  forget(): void {
    for (const extent of this.#answered) if (!this.parts.slots.has(extent)) this.#answered.delete(extent);
  }

  promised(): Promised {
    const { bits } = this.parts;
    const dirty: number[] = [];
    for (let chunk = bits.next(0); chunk !== -1; chunk = chunk + 1 < bits.chunks ? bits.next(chunk + 1) : -1) dirty.push(chunk);
    return {
      dirty,
      activeExtents: [...this.#answered],
      epochAnswered: this.#durable,
      epochIssued: this.#issued,
    };
  }

  /** One thing that an engine or the disk does. */
  step(checkpoints: boolean): void {
    const choice = this.#random(20);
    const pending = this.disk.pending[this.#random(Math.max(1, this.disk.pending.length))];
    if (choice < 9 && pending !== undefined) this.disk.answer(pending);
    else if (choice < 16) this.#write();
    else if (choice < 18) this.#flushed();
    else if (choice === 18) this.#superblock();
    else if (checkpoints && this.#random(4) === 0) this.store.checkpoint((error) => this.#living(error));
  }

  // A write of the application: its bits are set once its extents are active, and stay until both copies flushed it.
  #write(): void {
    // Extent 0 is written all the time, as a file system's journal is: it stays in its slot while the ring goes round.
    const first = this.#random(8) === 0 ? 0 : this.#random(EXTENTS);
    const extents = Array.from({ length: 1 + this.#random(3) }, (_, index) => Math.min(EXTENTS - 1, first + index));
    const go = (): void => {
      for (const extent of extents) {
        const { first: chunk } = chunksOfExtent(this.parts.layout, extent);
        this.parts.bits.set(chunk + this.#random(1000), 1 + this.#random(20));
        this.#underWay.set(extent, (this.#underWay.get(extent) ?? 0) + 1);
      }
    };
    if (extents.every((extent) => this.store.isActive(extent))) return go();
    this.store.activate(
      extents,
      (extent) => extent !== 0 && (this.#underWay.get(extent) ?? 0) === 0,
      (error) => {
        if (error?.name === 'MetadataBusy') return;
        this.#living(error);
        for (const extent of extents) this.#answered.add(extent);
        go();
      },
    );
  }

  // Some writes ended, and of what ended before some chunks are flushed on both sides.
  #flushed(): void {
    const { bits } = this.parts;
    for (const extent of this.#underWay.keys()) if (this.#random(2) === 0) this.#underWay.delete(extent);
    for (let index = 0; index < 10; index++) {
      const chunk = bits.next(this.#random(bits.chunks));
      if (chunk === -1) continue;
      const extent = Math.floor(chunk / this.parts.layout.chunksPerExtent);
      if ((this.#underWay.get(extent) ?? 0) === 0) bits.clear(chunk);
    }
  }

  #superblock(): void {
    const epoch = ++this.#issued;
    this.store.writeSuperblock(superblockState({ maxEpochSeen: epoch }), (error) => {
      this.#living(error);
      this.#durable = Math.max(this.#durable, epoch);
    });
  }

  #living(error: Error | null): void {
    if (error !== null) throw new Error('the store died on a sound disk', { cause: error });
  }
}

/** Ways in which writes under way may have reached the disk. */
const tearings = (random: (below: number) => number): readonly ((write: number, sector: number, sectors: number) => boolean)[] => {
  const cut = random(9);
  const only = random(8);
  const mask = random(0x1_0000);
  const whole = random(2);
  return [
    () => false,
    () => true,
    (_, sector) => sector % 8 < cut,
    (_, sector) => sector % 8 === only,
    (write, sector, sectors) => ((mask >> ((write * 5 + sector * 3 + Math.floor(sector / 8)) % 16)) & 1) === 1 || sectors === 0,
    // Of a write of several blocks some whole ones.
    (_, sector) => Math.floor(sector / 8) % 2 === whole,
  ];
};

const lookAt = async (disk: CrashDisk, promised: Promised): Promise<string | null> => {
  const attached = await attachMetadata(disk, { name: 'the crashed copy', expected: expectedOf(superblockState()) }).catch(
    (error: unknown) => String(error),
  );
  if (typeof attached === 'string') return `refused: ${attached}`;
  const {
    attached: { bits, superblock, repairs },
  } = attached;
  const { maxEpochSeen } = superblock;
  if (maxEpochSeen < promised.epochAnswered)
    return `a superblock older than the answered one: ${maxEpochSeen} of ${promised.epochAnswered}`;
  if (maxEpochSeen > promised.epochIssued) return `a superblock that nobody wrote: ${maxEpochSeen}`;
  const clean = promised.dirty.find((chunk) => !bits.has(chunk));
  if (clean !== undefined) return `chunk ${clean} of extent ${Math.floor(clean / CHUNKS_PER_EXTENT)} was dirty and is clean`;
  for (const extent of promised.activeExtents)
    for (let chunk = extent * CHUNKS_PER_EXTENT; chunk < (extent + 1) * CHUNKS_PER_EXTENT; chunk++)
      if (!bits.has(chunk)) return `extent ${extent} was active and its chunk ${chunk} is clean`;
  const log = repairs.find((repair) => repair.includes('activity log'));
  return log === undefined ? null : `a power cut is taken for damage: ${log}`;
};

// A crash while attaching after a crash: its writes are cut in the same ways.
const lookTwice = async (disk: CrashDisk, promised: Promised, random: (below: number) => number): Promise<string | null> => {
  disk.automatic = false;
  const attaching = attachMetadata(disk, { name: 'the crashed copy', expected: expectedOf(superblockState()) });
  let ended = false;
  const end = attaching.then(
    () => void (ended = true),
    () => void (ended = true),
  );
  for (let turn = random(6); turn > 0 && !ended; turn--) {
    for (let wait = 0; wait < 50 && disk.pending.length === 0 && !ended; wait++) await settled();
    if (turn > 1) disk.answerAll();
  }
  const keeps = tearings(random)[random(6)] ?? (() => false);
  const broken = await lookAt(disk.fork(keeps), promised);
  disk.automatic = true;
  disk.answerAll();
  await end;
  return broken;
};

/** One life with power cuts after every step. */
export const liveAndCrash = async ({
  seed,
  steps,
  mutate = (parts) => parts,
  every = 1,
  checkpoints = true,
}: CrashRun): Promise<CrashReport> => {
  const random = randomFrom(seed);
  const disk = await freshDisk({ slots: SLOTS });
  const { parts } = await partsOf(disk);
  disk.automatic = false;
  const life = new Life(disk, mutate(parts), random);
  let crashes = 0;
  for (let step = 0; step < steps; step++) {
    life.step(checkpoints);
    await settled();
    life.forget();
    if (step % every !== 0) continue;
    const promised = life.promised();
    const ways = disk.pending.length === 0 ? tearings(random).slice(0, 1) : tearings(random);
    for (const [way, keeps] of ways.entries()) {
      crashes++;
      const fork = disk.fork(keeps);
      const broken = random(8) === 0 ? await lookTwice(fork, promised, random) : await lookAt(fork, promised);
      if (broken !== null)
        return {
          crashes,
          transactions: disk.blocksIn(LOG_AT, SUPERBLOCK_AT[1]),
          broken: `seed ${seed}, step ${step}, way ${way}: ${broken}`,
        };
    }
  }
  return { crashes, transactions: disk.blocksIn(LOG_AT, SUPERBLOCK_AT[1]), broken: null };
};
