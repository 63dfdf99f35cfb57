// Whether the leash is alive: its beat file changes. The age counts by this guard's own clock from the last change it saw;
// the file's own times are wall time and are only compared for being different.
import type { Files } from '../system/files.js';

/** Older than this there is no leash: it may sleep for a second between beats, and be late. */
export const LEASH_MAX_AGE_MS = 5_000;

export class LeashWatch {
  readonly #files: Files;
  readonly #path: string;
  #stamp: string | null = null;
  #looked = false;
  #changedMs: number | null = null;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** Looks for a beat. The first look only learns what is there: it may have been left by a dead one. */
  look(nowMs: number): void {
    const stamp = this.#files.stamp(this.#path);
    if (this.#looked && stamp !== null && stamp !== this.#stamp) this.#changedMs = nowMs;
    this.#stamp = stamp;
    this.#looked = true;
  }

  ageMs(nowMs: number): number | null {
    return this.#changedMs === null ? null : nowMs - this.#changedMs;
  }

  alive(nowMs: number): boolean {
    const ageMs = this.ageMs(nowMs);
    return ageMs !== null && ageMs <= LEASH_MAX_AGE_MS;
  }
}
