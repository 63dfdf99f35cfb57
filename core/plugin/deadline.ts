// Waits for a plugin, but not for ever.
import { UnderstudyError } from '../errors/errors.js';
import type { Clock, Timer } from '../system/clock.js';

/** The work's own result, or PLUGIN_INVALID when it is late. The work itself cannot be ended; nothing waits for it any more. */
export const within = async <T>(clock: Clock, limitMs: number, what: string, work: Promise<T>): Promise<T> => {
  let timer: Timer | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = clock.after(limitMs, () => reject(new UnderstudyError('PLUGIN_INVALID', `${what} did not end within ${limitMs} ms`)));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
};
