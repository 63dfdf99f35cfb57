// The connection between two engines: frames in order, whole; when it is cut the rest is lost, some of it still arrives late, and
// the ends learn of it at different times. A payload lives as long as the contract says and is scribbled over afterwards.
import type { Frame } from '../../../plugins/disk-mirror/link/frames.js';
import type { Events, Life } from './events.js';

export type Side = 'a' | 'b';
export const otherSide = (side: Side): Side => (side === 'a' ? 'b' : 'a');

interface End {
  up(generation: number): void;
  down(generation: number, because: string): void;
  frame(generation: number, frame: Frame): void;
  /** The process at this end. */
  readonly life: Life;
}

interface Connection {
  readonly generation: number;
  readonly queues: Record<Side, (Frame | 'up' | 'down')[]>;
  readonly lives: Record<Side, Life>;
  dead: boolean;
}

export class FakeLink {
  readonly #events: Events;
  readonly #ends: Record<Side, () => End>;
  #connection: Connection | null = null;
  #generation = 0;
  /** No connection comes to be. */
  cut = false;

  constructor(events: Events, ends: Record<Side, () => End>) {
    this.#events = events;
    this.#ends = ends;
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  connect(): void {
    if (this.cut || this.#connection !== null || !this.#ends.a().life.alive || !this.#ends.b().life.alive) return;
    this.#generation += 1;
    const lives = { a: this.#ends.a().life, b: this.#ends.b().life };
    const connection: Connection = { generation: this.#generation, queues: { a: ['up'], b: ['up'] }, lives, dead: false };
    this.#connection = connection;
    for (const side of ['a', 'b'] as const) this.#wake(connection, side);
  }

  /** Ends it: each end still gets some of what was on its way, then learns of it. `silent`: that end is told at once by itself. */
  break(because: string, silent?: Side): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#connection = null;
    connection.dead = true;
    for (const side of ['a', 'b'] as const) {
      const queue = connection.queues[side];
      if (side === silent) queue.length = 0;
      else queue.length = Math.floor(this.#events.chance.next() * (queue.length + 1));
      // What is still to arrive has left its sender.
      for (const [at, frame] of queue.entries())
        if (typeof frame === 'object' && 'bytes' in frame) queue[at] = { ...frame, bytes: frame.bytes.slice() };
      queue.push('down');
      this.#wake(connection, side, because);
    }
  }

  send(from: Side, frame: Frame): boolean {
    const connection = this.#connection;
    if (connection === null) return false;
    const to = otherSide(from);
    connection.queues[to].push(frame);
    this.#wake(connection, to);
    return true;
  }

  #wake(connection: Connection, side: Side, because = 'cut'): void {
    this.#events.later(connection.lives[side], () => {
      const next = connection.queues[side].shift();
      if (next === undefined) return;
      const end = this.#ends[side]();
      if (next === 'down') return end.down(connection.generation, because);
      if (next === 'up') return end.up(connection.generation);
      const frame = 'bytes' in next ? { ...next, bytes: next.bytes.slice() } : next;
      end.frame(connection.generation, frame);
      if ('bytes' in frame) frame.bytes.fill(255);
    });
  }
}
