// The one place at an export. Who has it keeps it while its connection lives: an idle client is a mounted filesystem, and
// nothing a newcomer could say makes it less so. A client that comes again after its old connection died is let in as soon
// as the death is known and the export has answered everything the old one asked for, so that no old write can land on top
// of a new one. A newcomer waits a moment for a death that is just being learnt, longer for the last answers, then is refused.
import type { Clock, Timer } from 'understudy/plugin';

export interface SeatTimes {
  /** For the end of a connection that is on its way through the socket. */
  readonly graceMs: number;
  /** For the export's answers to what a dead connection asked. */
  readonly settleMs: number;
}

/** Null = the place is yours; else why not. Called once, at once or later. */
export type SeatAnswer = (refused: string | null) => void;

interface Waiter {
  readonly answer: SeatAnswer;
  timer: Timer;
}

/** Newcomers that may wait; a second client is a mistake, a crowd is an attack. */
const MAX_WAITERS = 8;

export class Seat {
  readonly #clock: Clock;
  readonly #times: SeatTimes;
  readonly #attached: (there: boolean) => void;
  #waiters: Waiter[] = [];
  #taken = false;
  #leaving = false;

  constructor(clock: Clock, times: SeatTimes, attached: (there: boolean) => void) {
    this.#clock = clock;
    this.#times = times;
    this.#attached = attached;
  }

  /** Asks for the place. Returns how to withdraw. */
  claim(answer: SeatAnswer): () => void {
    if (!this.#taken) {
      this.#give(answer);
      return () => {};
    }
    if (this.#waiters.length >= MAX_WAITERS) {
      answer(IN_USE);
      return () => {};
    }
    const waiter: Waiter = { answer, timer: this.#clock.after(this.#times.graceMs, () => this.#graceOver(waiter)) };
    this.#waiters.push(waiter);
    return () => this.#withdraw(waiter);
  }

  /** The connection that has the place is dead; its requests are not yet. */
  left(): void {
    this.#leaving = true;
  }

  /** Nothing of the one who had it is under way any more. */
  free(): void {
    this.#taken = false;
    this.#leaving = false;
    this.#attached(false);
    const next = this.#waiters[0];
    if (next === undefined) return;
    this.#withdraw(next);
    this.#give(next.answer);
  }

  /** Nobody is let in any more. */
  close(because: string): void {
    const waiting = this.#waiters;
    for (const waiter of waiting) this.#refuse(waiter, because);
  }

  #give(answer: SeatAnswer): void {
    this.#taken = true;
    this.#attached(true);
    answer(null);
  }

  #graceOver(waiter: Waiter): void {
    if (!this.#leaving) return this.#refuse(waiter, IN_USE);
    waiter.timer = this.#clock.after(this.#times.settleMs, () =>
      this.#refuse(waiter, 'requests of a client that is gone are still under way; try again'),
    );
  }

  #refuse(waiter: Waiter, because: string): void {
    this.#withdraw(waiter);
    waiter.answer(because);
  }

  #withdraw(waiter: Waiter): void {
    waiter.timer.cancel();
    this.#waiters = this.#waiters.filter((other) => other !== waiter);
  }
}

const IN_USE = 'another client uses this export; there is one at a time';
