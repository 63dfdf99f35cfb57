// The only door to chance.
import { randomBytes } from 'node:crypto';

export interface Random {
  /** Uniform in [0, 1). For jitter, never for secrets. */
  next(): number;
  /** Unpredictable bytes as lower-case hex. */
  hex(bytes: number): string;
}
export const Random: unique symbol = Symbol('Random');

export const systemRandom: Random = {
  next: () => randomBytes(4).readUInt32LE() / 2 ** 32,
  hex: (bytes) => randomBytes(bytes).toString('hex'),
};
