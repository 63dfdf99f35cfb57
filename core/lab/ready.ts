// Waits, at most so long, for a child of the lab to say that it is ready.
import { UnderstudyError } from '../errors/errors.js';
import { systemClock } from '../system/clock.js';

export interface Ready<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** Rejects with TIMED_OUT after `limitMs`. Whoever settles it first wins. */
export const readyWithin = <T = void>(limitMs: number, what: string): Ready<T> => {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  const timer = systemClock.after(limitMs, () => reject(new UnderstudyError('TIMED_OUT', `${what} was not ready within ${limitMs} ms`)));
  const settled = promise.finally(() => timer.cancel());
  // Whoever awaits it hears of the failure; nobody else needs to.
  settled.catch(() => undefined);
  return { promise: settled, resolve, reject };
};
