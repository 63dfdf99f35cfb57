// Compare-and-set over the state file. Reads see only what is durable. All compare-and-sets that arrive while the disk is
// busy share the next flush; each is judged against those before it, and none is answered before the flush is done.
import type { CasResult, Versioned } from 'understudy/plugin';
import { UnderstudyError } from 'understudy/plugin';
import type { StateFile } from './state-file.js';

/** So many bytes of keys and values in all; a lease and its orders are under 2 KiB a group. */
const MAX_TOTAL_BYTES = 1024 * 1024;

interface Waiting {
  readonly key: string;
  readonly expected: string | null;
  readonly value: string;
  readonly resolve: (result: CasResult) => void;
  readonly reject: (error: Error) => void;
}

const bytesOf = ({ key, value }: { readonly key: string; readonly value: string }): number =>
  Buffer.byteLength(key) + Buffer.byteLength(value);

export class Store {
  readonly #file: StateFile;
  readonly #committed: (values: readonly Versioned[]) => void;
  readonly #failed: (error: unknown) => void;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | null = null;
  #totalBytes: number;
  #broken = false;

  /** `committed` is told what became durable; `failed`, once, that the disk did not take a write: the witness must end. */
  constructor(file: StateFile, committed: (values: readonly Versioned[]) => void, failed: (error: unknown) => void) {
    this.#file = file;
    this.#committed = committed;
    this.#failed = failed;
    this.#totalBytes = [...file.state.values.values()].reduce((sum, value) => sum + bytesOf(value), 0);
  }

  get stateId(): string {
    return this.#file.state.stateId;
  }

  get generation(): number {
    return this.#file.state.generation;
  }

  /** Whether another process has taken the state: then nothing of this one may be told any more. */
  get lost(): boolean {
    if (this.#broken || this.#file.owned) return this.#broken;
    this.#broken = true;
    this.#failed(new Error('another witness has taken this state'));
    return true;
  }

  read(key: string): Versioned | null {
    return this.#file.state.values.get(key) ?? null;
  }

  /** Durable when it resolves with `done`. Rejects with REFUSED when the store is full; never settles once the disk failed. */
  cas(key: string, expected: string | null, value: string): Promise<CasResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, expected, value, resolve, reject });
      if (this.#flushing === null && !this.#broken) this.#flushing = this.#flush();
    });
  }

  async close(): Promise<void> {
    this.#broken = true;
    await this.#flushing;
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    try {
      // Not awaited before the first look: a single compare-and-set waits for nothing but the disk.
      while (this.#waiting.length > 0 && !this.#broken) await this.#commit(this.#waiting.splice(0));
    } catch (error) {
      this.#broken = true;
      this.#failed(error);
    } finally {
      this.#flushing = null;
    }
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const changed = new Map<string, Versioned>();
    const answers: (() => void)[] = [];
    let { generation } = this;
    let totalBytes = this.#totalBytes;
    for (const { key, expected, value, resolve, reject } of batch) {
      const current = changed.get(key) ?? this.read(key);
      if ((current?.version ?? null) !== expected) {
        answers.push(() => resolve({ outcome: 'conflict', current }));
        continue;
      }
      const next = { key, value, version: `${this.stateId.slice(0, 8)}.${generation + 1}` };
      const growthBytes = bytesOf(next) - (current === null ? 0 : bytesOf(current));
      if (totalBytes + growthBytes > MAX_TOTAL_BYTES) {
        answers.push(() => reject(new UnderstudyError('REFUSED', `the witness is full: it holds at most ${MAX_TOTAL_BYTES} bytes`)));
        continue;
      }
      totalBytes += growthBytes;
      generation += 1;
      changed.set(key, next);
      answers.push(() => resolve({ outcome: 'done', version: next.version }));
    }
    if (changed.size > 0) {
      // Keys and values of one batch: a key that changed twice keeps its last value, as its readers would see it.
      await this.#file.append([...changed.values()], generation);
      this.#totalBytes = totalBytes;
    }
    for (const answer of answers) answer();
    if (changed.size > 0) this.#committed([...changed.values()]);
  }
}
