// The bodies of frames that say something in words: read field by field, for what a peer sends decides what becomes of data.
// A member that is not known here is dropped (a newer peer may say more); one that is missing or of another kind ends the link.
import type { Generation } from '../words.js';
import { HISTORY } from '../words.js';
import type { WireKind } from './layout.js';

/** What was wrong with a frame, for the reason with which the connection ends. */
export class BadFrame extends Error {}

type Reader = (value: unknown, where: string) => unknown;

const MAX_NAME = 256;
const MAX_WORDS = 4096;

const wrong = (where: string, wanted: string): never => {
  throw new BadFrame(`${where} is not ${wanted}`);
};

const count: Reader = (value, where) => (Number.isSafeInteger(value) && (value as number) >= 0 ? value : wrong(where, 'a whole number'));
const yes: Reader = (value, where) => (typeof value === 'boolean' ? value : wrong(where, 'true or false'));
const textUpTo =
  (max: number): Reader =>
  (value, where) =>
    typeof value === 'string' && value.length <= max ? value : wrong(where, `a text of at most ${max} characters`);
const name = textUpTo(MAX_NAME);
const words = textUpTo(MAX_WORDS);
const oneOf =
  (...known: readonly string[]): Reader =>
  (value, where) =>
    typeof value === 'string' && known.includes(value) ? value : wrong(where, `one of ${known.join(', ')}`);
const listOf =
  (each: Reader, max: number): Reader =>
  (value, where) =>
    Array.isArray(value) && value.length <= max
      ? value.map((one: unknown, at) => each(one, `${where}[${at}]`))
      : wrong(where, `a list of at most ${max}`);
const members = (readers: Readonly<Record<string, Reader>>): Reader => {
  const known = Object.entries(readers);
  return (value, where) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong(where, 'an object');
    return Object.fromEntries(
      known.map(([key, reader]) => [
        key,
        reader(Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined, `${where}.${key}`),
      ]),
    );
  };
};

const generation = members({
  epoch: count,
  counter: count,
  random: (value, where) => ((count(value, where) as number) < 2 ** 32 ? value : wrong(where, 'a number of 32 bits')),
} satisfies Record<keyof Generation, Reader>);
const history = listOf(generation, HISTORY);

const copy = members({
  identity: members({
    cluster: name,
    group: name,
    volume: name,
    volumeUuid: (value, where) => (typeof value === 'string' && /^[0-9a-f]{32}$/.test(value) ? value : wrong(where, '32 hex digits')),
    sizeBytes: count,
  }),
  node: name,
  bootId: name,
  role: oneOf('primary', 'secondary'),
  disk: oneOf('Diskless', 'Inconsistent', 'Outdated', 'Behind', 'Consistent', 'UpToDate', 'Failed'),
  primaryIndicator: yes,
  primaryEpoch: count,
  maxEpochSeen: count,
  current: generation,
  bitmapBase: generation,
  history,
  dirtyChunks: count,
  forced: yes,
  mode: oneOf('sync', 'semi-sync', 'async'),
  peerBootId: name,
  seeded: yes,
  victim: yes,
});

const BODIES: Readonly<Partial<Record<WireKind, Reader>>> = {
  greet: members({
    protocol: count,
    from: members({ cluster: name, group: name, volume: name, node: name }),
    instance: (value, where) => (typeof value === 'string' && /^[0-9a-f]{16}$/.test(value) ? value : wrong(where, '16 hex digits')),
  }),
  hello: members({ protocol: count, features: listOf(name, 32), session: count, answers: count, copy }),
  decision: members({ rule: name, because: words }),
  failed: members({ because: words }),
  'sync-begin': members({ kind: oneOf('bitmap', 'full', 'checksum', 'verify'), chunks: count, current: generation }),
  'sync-end': members({ current: generation, history }),
};

/** The members of the body; throws BadFrame, which names the first member that is wrong. */
export const readBody = (kind: WireKind, bytes: Uint8Array): Record<string, unknown> => {
  const reader = BODIES[kind];
  if (reader === undefined) throw new BadFrame(`${kind} has no body`);
  return reader(parsed(kind, bytes), kind) as Record<string, unknown>;
};

/** Everything of the frame but its kind and epoch. Sentences are cut to what the other side reads. */
export const bodyOf = ({ t: _kind, epoch: _epoch, ...rest }: Record<string, unknown>): Uint8Array => {
  const { because } = rest;
  return Buffer.from(JSON.stringify(typeof because === 'string' ? { ...rest, because: because.slice(0, MAX_WORDS) } : rest));
};

const UTF8 = new TextDecoder('utf-8', { fatal: true });

const parsed = (kind: WireKind, bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(UTF8.decode(bytes)) as unknown;
  } catch {
    throw new BadFrame(`the body of ${kind} is not JSON`);
  }
};
