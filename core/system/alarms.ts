// Sentences that want a person. Where they are shown is not known here. Invariant: one for each subject at most, so that a
// fault that repeats itself fills nothing.
import type { Clock, Timer } from './clock.js';

const PASSING_MS = 60_000;

/** Sentences by what they are about: each subject has one, or none. */
export class Alarms {
  readonly #sentences = new Map<string, string>();
  #revision = 0;

  /** Grows with every change. */
  get revision(): number {
    return this.#revision;
  }

  set(subject: string, sentence: string | null): void {
    if ((this.#sentences.get(subject) ?? null) === sentence) return;
    this.#revision += 1;
    if (sentence === null) this.#sentences.delete(subject);
    else this.#sentences.set(subject, sentence);
  }

  /** For trouble of which nobody says the end: shown until a minute after it was last heard of; `first` is told once in such a time. */
  passing(subject: string, clock: Clock, first: (sentence: string) => void): (sentence: string) => void {
    let end: Timer | null = null;
    return (sentence) => {
      if (end === null) first(sentence);
      this.set(subject, sentence);
      end?.cancel();
      end = clock.after(
        PASSING_MS,
        () => {
          end = null;
          this.set(subject, null);
        },
        { idle: true },
      );
    };
  }

  all(): readonly string[] {
    return [...this.#sentences.values()];
  }
}
