// What a member remembers of the witness, so that one that lost its state is not believed: the id of the state and the
// highest generation seen. In memory, and in a file when one is configured, which makes it outlive the member's processes.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type Log, UnderstudyError, reasonOf } from 'understudy/arbiter';

const WRITE_EVERY_MS = 10_000;

export class WitnessMemory {
  readonly #file: string | null;
  #stateId: string | null = null;
  #generation = 0;
  #writtenMs: number | null = null;
  readonly #log: Log;

  /** Reads the file if there is one. Throws REFUSED when it cannot be understood. */
  constructor(file: string | null, log: Log) {
    this.#file = file;
    this.#log = log;
    if (file === null) return;
    try {
      const [stateId, generation] = readFileSync(file, 'utf8').trim().split(' ');
      if (stateId === undefined || !/^[0-9a-f]{8,64}$/.test(stateId) || !/^\d{1,15}$/.test(generation ?? ''))
        throw new Error('it is not "STATEID GENERATION"');
      this.#stateId = stateId;
      this.#generation = Number(generation);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw new UnderstudyError('REFUSED', `cannot read what was remembered of the witness in ${file}: ${reasonOf(error)}`, {
        cause: error,
        hint: 'Compare it with the other nodes; remove it only when you know that the witness did not lose its state.',
      });
    }
  }

  /** Why this state may not be believed, or null. A new one that is believed is remembered. */
  objection(stateId: string, generation: number): string | null {
    if (this.#stateId !== null && stateId !== this.#stateId)
      return `the witness lost its state: it was ${this.#stateId}, now it is ${stateId}`;
    if (generation < this.#generation)
      return `the witness lost its state: it was at generation ${this.#generation}, now it is at ${generation}`;
    this.#stateId = stateId;
    this.saw(generation);
    return null;
  }

  /** An authentic answer showed this generation. */
  saw(generation: number): void {
    if (generation <= this.#generation && this.#writtenMs !== null) return;
    this.#generation = Math.max(this.#generation, generation);
    const nowMs = performance.now();
    if (this.#file === null || (this.#writtenMs !== null && nowMs - this.#writtenMs < WRITE_EVERY_MS)) return;
    this.#writtenMs = nowMs;
    try {
      writeFileSync(`${this.#file}.new`, `${this.#stateId} ${this.#generation}\n`, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      // Memory still guards this process; only a restart would forget.
      this.#log.warn('cannot write what is remembered of the witness', { file: this.#file, reason: reasonOf(error) });
    }
  }
}
