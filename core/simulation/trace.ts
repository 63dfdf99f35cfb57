// What happened in a world: a hash over every event, to prove that a seed gives the same run twice, and the last lines of
// the story for people. Lines are kept as parts and only put together when somebody reads them.

export interface TraceLine {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
  readonly because: string;
}

export class Trace {
  readonly #lines: TraceLine[] = [];
  readonly #keep: number;
  #hash = 0x811c9dc5;
  #first = 0;

  /** `keep`: the lines kept, the oldest go first; Infinity keeps all. */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** One event of the queue: its moment and its place in the order of asking. */
  count(atMs: number, order: number): void {
    this.#mix(Math.trunc(atMs * 1_000) | 0);
    this.#mix(order);
  }

  add(atMs: number, who: string, what: string, because: string): void {
    this.#mix(what.length + because.length);
    for (let index = 0; index < what.length; index += 1) this.#mix(what.charCodeAt(index));
    if (this.#lines.length - this.#first >= this.#keep) this.#forget();
    this.#lines.push({ atMs, who, what, because });
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  lines(): readonly TraceLine[] {
    return this.#lines.slice(this.#first);
  }

  text(last = Number.POSITIVE_INFINITY): string {
    const lines = this.lines();
    return lines
      .slice(Math.max(0, lines.length - last))
      .map(lineOf)
      .join('\n');
  }

  #mix(word: number): void {
    this.#hash = Math.imul(this.#hash ^ word, 0x01000193);
  }

  #forget(): void {
    this.#first += 1;
    if (this.#first < 4_096) return;
    this.#lines.splice(0, this.#first);
    this.#first = 0;
  }
}

/** `  12.345 s  a guard   lease.held   because` */
export const lineOf = ({ atMs, who, what, because }: TraceLine): string =>
  `${(atMs / 1_000).toFixed(3).padStart(9)} s  ${who.padEnd(14)} ${what.padEnd(24)} ${because}`.trimEnd();
