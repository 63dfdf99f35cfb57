// A bounded number of jobs on threads at once, the others wait their turn in order. It leaves threads of the shared pool free:
// a disk that hangs may hold its own lane for ever, and the log, the metadata and the lease page must still be written.
import assert from 'node:assert';

export type Job = (finished: () => void) => void;

/** Who asks bounds what it asks (NBD's requests, the link's window); this many waiting is a fault of the program. */
const MAX_WAITING = 65_536;

export class Lane {
  readonly #limit: number;
  #active = 0;
  #waiting: Job[] = [];
  #head = 0;
  readonly #finished = () => {
    this.#active -= 1;
    const next = this.#take();
    if (next !== undefined) this.#start(next);
  };

  constructor(limit: number) {
    this.#limit = limit;
  }

  run(job: Job): void {
    if (this.#active < this.#limit) return this.#start(job);
    assert(this.#waiting.length - this.#head < MAX_WAITING, 'more file requests than anybody may ask');
    this.#waiting.push(job);
  }

  #start(job: Job): void {
    this.#active += 1;
    job(this.#finished);
  }

  #take(): Job | undefined {
    const job = this.#waiting[this.#head];
    if (job === undefined) return undefined;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return job;
  }
}

/** Threads of the pool that file calls run on. Source: Node's UV_THREADPOOL_SIZE, default 4, at most 1024. */
export const poolThreads = (environment: Readonly<Record<string, string | undefined>> = process.env): number => {
  const asked = Number(environment['UV_THREADPOOL_SIZE'] ?? '4');
  return Number.isInteger(asked) && asked >= 1 ? Math.min(1024, asked) : 4;
};
