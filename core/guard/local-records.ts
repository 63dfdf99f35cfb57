// The store of a cluster that has none (SAFETY a.10): this node's own records in its state directory, behind the same door as an
// arbiter. Only this node writes them; what the lease machine makes of them, and whom it must ask first, is core/ownership/pair.
// Orders carry a stamp, so that two nodes that hear each other come to the same (orders-copies.ts): the newest wins.
// Invariants: whatever gives or takes a right is on disk before it is answered; a file that cannot be read is no empty file.
import { join } from 'node:path';
import { reasonOf } from '../errors/errors.js';
import type { NodeId } from '../model/ids.js';
import { type Arbiter, ArbiterError, type CasResult, type Versioned } from '../ownership/arbiter.js';
import { parseRecord } from '../ownership/record-codec.js';
import { type Files, readJson } from '../system/files.js';
import type { Paths } from '../system/paths.js';

export const recordsFile = (paths: Paths): string => join(paths.state, 'records.json');

/** When an orders record was written: by how many changes, and where. Later wins; of equal ones the higher node. */
export interface Stamp {
  readonly count: number;
  readonly node: NodeId;
}

export interface Copy extends Stamp {
  readonly key: string;
  readonly value: string;
}

interface Entry extends Stamp {
  readonly value: string;
}

const BROKEN = 'broken';

export class LocalRecords implements Arbiter {
  readonly #files: Files;
  readonly #path: string;
  readonly #node: NodeId;
  readonly #entries = new Map<string, Entry>();
  #broken: string | null = null;
  #writes: Promise<void> = Promise.resolve();
  #changed: (copy: Copy) => void = () => undefined;

  constructor(files: Files, paths: Paths, node: NodeId) {
    this.#files = files;
    this.#path = recordsFile(paths);
    this.#node = node;
    const file = readJson(files, this.#path);
    if (file.kind === 'broken') this.#broken = file.because;
    if (file.kind === 'read' && !this.#take(file.value)) this.#broken = `${this.#path} is not a file of records of version 1`;
  }

  read(keys: readonly string[]): Promise<readonly (Versioned | null)[]> {
    return Promise.resolve(keys.map((key) => this.#get(key)));
  }

  async cas(key: string, expected: string | null, value: string): Promise<CasResult> {
    const current = this.#get(key);
    if ((current?.version ?? null) !== expected) return { outcome: 'conflict', current };
    const before = this.#entries.get(key);
    const entry: Entry = { value, count: (before?.count ?? 0) + 1, node: this.#node };
    if (before !== undefined && isRenewal(before.value, value)) {
      // The next guard needs no more than that it holds: a disk that is full or slow does not end what runs.
      this.#entries.set(key, entry);
      return { outcome: 'done', version: versionOf(entry) };
    }
    await this.#put(key, entry);
    if (isOrders(key)) this.#changed({ key, ...entry });
    return { outcome: 'done', version: versionOf(entry) };
  }

  close(): Promise<void> {
    return this.#writes;
  }

  /** Called with every orders record that was changed here. */
  onOrders(changed: (copy: Copy) => void): void {
    this.#changed = changed;
  }

  /** Every orders record, to be told to the peer. */
  copies(): readonly Copy[] {
    return [...this.#entries].filter(([key]) => isOrders(key)).map(([key, entry]) => ({ key, ...entry }));
  }

  /** Takes what the peer has if it is newer. True when it was taken. */
  async take({ key, value, count, node }: Copy): Promise<boolean> {
    const own = this.#entries.get(key);
    if (!isOrders(key) || (own !== undefined && !isLater({ count, node }, own))) return false;
    await this.#put(key, { value, count, node });
    return true;
  }

  #get(key: string): Versioned | null {
    const entry = this.#entries.get(key);
    if (entry !== undefined) return { key, value: entry.value, version: versionOf(entry) };
    // What it said of a lease is lost: that is not the same as never written. Orders are had again from the peer.
    return this.#broken === null || isOrders(key) ? null : { key, value: this.#broken, version: BROKEN };
  }

  /** One write at a time, each of all there is; in memory only when it is on disk. */
  #put(key: string, entry: Entry): Promise<void> {
    const write = this.#writes.then(async () => {
      const values = Object.fromEntries([...this.#entries, [key, entry] as const]);
      try {
        await this.#files.replace(this.#path, `${JSON.stringify({ v: 1, values })}\n`, { fsync: true });
      } catch (error) {
        throw new ArbiterError('unknown', `${this.#path} cannot be written: ${reasonOf(error)}`, { cause: error });
      }
      this.#entries.set(key, entry);
    });
    this.#writes = write.catch(() => undefined);
    return write;
  }

  #take(file: unknown): boolean {
    const { v, values } = (typeof file === 'object' && file !== null ? file : {}) as Record<string, unknown>;
    if (v !== 1 || typeof values !== 'object' || values === null) return false;
    const entries = Object.entries(values);
    if (!entries.every(([, entry]) => isEntry(entry))) return false;
    for (const [key, entry] of entries) this.#entries.set(key, entry as Entry);
    return true;
  }
}

const versionOf = ({ count, node }: Stamp): string => `${count}.${node}`;
const isLater = (one: Stamp, other: Stamp): boolean => one.count > other.count || (one.count === other.count && one.node > other.node);
/** Keys of core/ownership/record: everything but leases. */
const isOrders = (key: string): boolean => key.endsWith('/orders') || key.split('/').at(-2) === 'nodes';
const isEntry = (entry: unknown): boolean => {
  const { value, count, node } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  return typeof value === 'string' && Number.isSafeInteger(count) && (count as number) > 0 && typeof node === 'string';
};

/** The same holding, said once more. */
const isRenewal = (before: string, after: string): boolean => {
  const [one, other] = [parseRecord(before), parseRecord(after)];
  if (one.kind !== 'record' || other.kind !== 'record' || other.record.state !== 'HELD') return false;
  const { nonce: _nonce, seq: _seq, ...was } = one.record;
  const { nonce: _next, seq: _more, ...is } = other.record;
  return JSON.stringify(was) === JSON.stringify(is);
};
