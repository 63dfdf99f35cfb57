// An application in the test itself that writes stamps through NBD as fast as they are answered, goes on over connections that
// end, and knows what must be there: what was answered at least, what was sent at most.
import { systemClock } from 'understudy/plugin';
import type { NbdClient } from '../nbd-client.js';
import { BLOCK_BYTES, counterOf, stampedBlock } from '../stamps.js';

export interface Answered {
  readonly sentMs: number;
  readonly answeredMs: number;
}

export class StampLoad {
  readonly #slots: readonly number[];
  readonly written = new Map<number, number>();
  readonly flushed = new Map<number, number>();
  readonly #sent = new Map<number, number>();
  readonly #onAnswer: (answer: Answered) => void;
  readonly #flushEvery: number;
  answers = 0;
  #running: Promise<unknown> = Promise.resolve();
  #client: NbdClient | null = null;
  #stopping = false;

  /** Slot numbers are block numbers; each slot flushes after every so many writes. */
  constructor(slots: readonly number[], onAnswer: (answer: Answered) => void = () => undefined, flushEvery = 8) {
    this.#slots = slots;
    this.#flushEvery = flushEvery;
    this.#onAnswer = onAnswer;
  }

  /** What is there is looked at, then written on; until the connection ends or `stop`. Rejects when something answered is not there. */
  async begin(client: NbdClient): Promise<void> {
    const lost = await this.lostOn(client);
    if (lost.length > 0) throw new Error(lost.join('; '));
    this.#stopping = false;
    this.#client = client;
    this.#running = Promise.allSettled(this.#slots.map((slot) => this.#write(client, slot)));
  }

  /** No more is sent; what was sent is answered or its connection has ended; then the client goes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    this.#client?.close();
    this.#client = null;
  }

  /** What a serving copy lacks of what was answered, and what it has that nobody sent. */
  async lostOn(client: NbdClient): Promise<readonly string[]> {
    const found = await Promise.all(
      this.#slots.map(async (slot) => [slot, counterOf(await client.read(slot * BLOCK_BYTES, BLOCK_BYTES), slot)] as const),
    );
    return found.flatMap(([slot, counter]) => {
      const [least, most] = [this.written.get(slot) ?? 0, this.#sent.get(slot) ?? 0];
      if (counter < least) return [`slot ${slot}: ${least} was answered, ${counter} is there`];
      return counter > most ? [`slot ${slot}: ${counter} is there, ${most} was the last one sent`] : [];
    });
  }

  async #write(client: NbdClient, slot: number): Promise<void> {
    while (!this.#stopping) {
      const counter = (this.#sent.get(slot) ?? 0) + 1;
      this.#sent.set(slot, counter);
      const sentMs = systemClock.nowMs();
      await client.write(slot * BLOCK_BYTES, stampedBlock(slot, counter));
      this.written.set(slot, counter);
      this.answers += 1;
      this.#onAnswer({ sentMs, answeredMs: systemClock.nowMs() });
      if (counter % this.#flushEvery !== 0) continue;
      await client.flush();
      this.flushed.set(slot, counter);
    }
  }
}

/** Blocks far apart and beside each other, all over a volume. */
export const spreadSlots = (count: number, sizeBytes: number): readonly number[] => {
  const blocks = sizeBytes / BLOCK_BYTES;
  return Array.from(
    { length: count },
    (_, index) => (index % 2 === 0 ? 0 : 1) + 2 * Math.floor((Math.floor(index / 2) * blocks) / (2 * Math.ceil(count / 2))),
  );
};
