// One host's watchdog as a pure machine: messages and the time in, a new state and an answer out. The process that gives it
// sockets and teeth is watchdog-process.ts. Invariant: only `disarm` and a power cycle disarm it; a closed connection, a new
// one, silence or nonsense never do.

export interface Dog {
  readonly armed: boolean;
  readonly timeoutMs: number;
  /** When it was last armed or petted. */
  readonly pettedAtMs: number;
}

export const sleepingDog: Dog = { armed: false, timeoutMs: 0, pettedAtMs: 0 };

/** `ageMs`: how old the previous pet was when this one came; the guard compares it with its own view (pet, then verify). */
export type DogAnswer =
  | { readonly armed: number }
  | { readonly petted: number; readonly ageMs: number }
  | { readonly disarmed: true }
  | { readonly error: string };

/** When it bites if nothing more comes; null while it sleeps. */
export const bitesAtMs = (dog: Dog): number | null => (dog.armed ? dog.pettedAtMs + dog.timeoutMs : null);

const MAX_TIMEOUT_MS = 3_600_000;
const isTimeout = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_TIMEOUT_MS;

/** Parses one line: `{"arm":2000}`, `{"pet":17}` or `{"disarm":true}`. */
export const dogStep = (dog: Dog, line: string, nowMs: number): { readonly dog: Dog; readonly answer: DogAnswer } => {
  const refuse = (error: string) => ({ dog, answer: { error } });
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return refuse('not JSON: say {"arm":MS}, {"pet":N} or {"disarm":true}');
  }
  const { arm, pet, disarm } = (typeof message === 'object' && message !== null ? message : {}) as Record<string, unknown>;
  const due = bitesAtMs(dog);
  if (due !== null && nowMs >= due) return refuse('too late: the timeout has passed');
  if (arm !== undefined) {
    if (!isTimeout(arm)) return refuse(`arm must be whole milliseconds from 1 to ${MAX_TIMEOUT_MS}`);
    return { dog: { armed: true, timeoutMs: arm, pettedAtMs: nowMs }, answer: { armed: arm } };
  }
  if (pet !== undefined) {
    if (typeof pet !== 'number') return refuse('pet must be a number');
    if (!dog.armed) return refuse('not armed');
    return { dog: { ...dog, pettedAtMs: nowMs }, answer: { petted: pet, ageMs: nowMs - dog.pettedAtMs } };
  }
  if (disarm === true) return { dog: sleepingDog, answer: { disarmed: true } };
  return refuse('say {"arm":MS}, {"pet":N} or {"disarm":true}');
};
