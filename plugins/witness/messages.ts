// What clients say to the witness over a connection. Every message is checked before it is used: authentic is not the same as
// well formed (another version, a defect). Only the witness loads this at run time; what it says itself is in answers.ts.
import { z } from 'understudy/plugin';
import { MAX_KEYS, MAX_KEY_LENGTH, MAX_VALUE_BYTES, NONCE_BYTES } from './wire.js';

// Lengths by `refine`, which looks at nothing of a wrong type: the checks `min` and `max` look at the `length` of whatever came.
const text = (max: number, min = 0) => z.string().refine(({ length }) => length >= min && length <= max, `${min} to ${max} characters`);
const key = text(MAX_KEY_LENGTH, 1);
const keys = z.array(key).refine(({ length }) => length <= MAX_KEYS, `at most ${MAX_KEYS} keys`);
const id = z.int().min(0);
const nonce = z.string().regex(new RegExp(`^[0-9a-f]{${2 * NONCE_BYTES}}$`));
const value = z.string().refine((text) => Buffer.byteLength(text) <= MAX_VALUE_BYTES, `a value is at most ${MAX_VALUE_BYTES} bytes`);

/** Client → witness, followed by a sealed Hello: its nonce, which makes the connection's keys. */
export const ClientGreeting = z.object({ client: z.literal(1), nonce });

/** Client → witness, sealed: proves the key, says who asks. */
export const Hello = z.object({ t: z.literal('hello'), cluster: text(128), node: text(128) });

export const Request = z.discriminatedUnion('t', [
  z.object({ t: z.literal('read'), id, keys }),
  z.object({ t: z.literal('cas'), id, key, expected: text(128).nullable(), value }),
  /** Replaces the keys that are followed on this connection; answered by a push of each that exists. */
  z.object({ t: z.literal('follow'), keys }),
]);
export type Request = z.infer<typeof Request>;
