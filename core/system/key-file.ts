// The cluster key (SAFETY S1, S2): lines `understudy-key-1 KEYID 64-HEX-DIGITS`, the first signs, all verify; two while a
// key is being replaced. A key that cannot be used is an error and ends the start: nothing ever runs without it.
import { UnderstudyError } from '../errors/errors.js';
import { writeAtomicSync } from './atomic-file.js';
import { readPrivateFile } from './private-file.js';
import type { Random } from './random.js';

/** 32 bytes known to the nodes of one cluster only. `id` (1 to 65535) tells which of two keys made a signature. */
export interface ClusterKey {
  readonly id: number;
  readonly bytes: Uint8Array;
}

export interface ClusterKeys {
  /** Signs. */
  readonly current: ClusterKey;
  /** Verify: one, or two during a rotation. */
  readonly all: readonly ClusterKey[];
}

const LINE = /^understudy-key-1 (\d{1,5}) ([0-9a-f]{64})$/;
const MAX_BYTES = 4096;

const unusable = (file: string, why: string, cause?: unknown): UnderstudyError =>
  new UnderstudyError('KEY_UNUSABLE', `cannot use the cluster key ${file}: ${why}`, { cause });

const readPrivate = (file: string): string => readPrivateFile(file, 'the cluster key', MAX_BYTES).toString('latin1');

/** Its bytes are given to whoever asks for them by name, and to nothing that prints or copies what it finds. */
class HiddenKey implements ClusterKey {
  readonly #bytes: Uint8Array;

  constructor(
    readonly id: number,
    bytes: Uint8Array,
  ) {
    this.#bytes = bytes;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }
}

/** The keys of the text; throws KEY_UNUSABLE. Empty lines and lines that begin with `#` are for people. */
export const parseKeys = (text: string, file: string): ClusterKeys => {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const all = lines.map((line, index): ClusterKey => {
    const [, id, hex] = LINE.exec(line.trimEnd()) ?? [];
    if (hex === undefined) throw unusable(file, `key line ${index + 1} is not "understudy-key-1 KEYID 64-HEX-DIGITS"`);
    if (Number(id) < 1 || Number(id) > 65_535) throw unusable(file, `key line ${index + 1} has key id ${id}: use 1 to 65535`);
    if (/^(..)\1*$/.test(hex)) throw unusable(file, `key line ${index + 1} is one byte repeated, not a random key`);
    return new HiddenKey(Number(id), Buffer.from(hex, 'hex'));
  });
  const [current] = all;
  if (current === undefined) throw unusable(file, 'it holds no key');
  if (all.length > 2) throw unusable(file, `it holds ${all.length} keys: one, or two during a rotation`);
  if (new Set(all.map(({ id }) => id)).size !== all.length) throw unusable(file, `two keys have the id ${current.id}`);
  return { current, all };
};

/** Reads the key file. Throws KEY_UNUSABLE when it is missing, open to others, short or not understood. */
export const loadKeys = (file: string): ClusterKeys => parseKeys(readPrivate(file), file);

/** Takes a key file one step on, in its place and whole at every moment. Throws KEY_UNUSABLE or REFUSED, or the system's error. */
export const rotateKeyFile = (file: string, step: RotationStep, random: Random): ClusterKeys => {
  const text = rotatedKeys(readPrivate(file), file, step, random);
  writeAtomicSync(file, text, { fsync: true, mode: 0o400 });
  return parseKeys(text, file);
};

/** The text of a new key file, for `understudy keygen`. */
export const generateKey = (random: Random): string => `${KEY_HEAD}${lineOf(freshKey(random, 0))}`;

/** The three steps in which every node and the witness change keys, none of them ever without one that the others know. */
export const ROTATION_STEPS = ['add', 'use', 'drop'] as const;
export type RotationStep = (typeof ROTATION_STEPS)[number];

/** The text of the key file after a step. Throws KEY_UNUSABLE when the text is no key file, REFUSED when it is not at that step. */
export const rotatedKeys = (text: string, file: string, step: RotationStep, random: Random): string => {
  const { current, all } = parseKeys(text, file);
  const [, second] = all;
  const refuse = (why: string) =>
    new UnderstudyError('REFUSED', `cannot ${step} a key in ${file}: ${why}`, { hint: 'See docs/how-to/rotate-the-key.md.' });
  if (step === 'add') {
    if (second !== undefined) throw refuse('it holds two keys already: a rotation is under way');
    return `${KEY_HEAD}${lineOf(current)}${lineOf(freshKey(random, current.id))}`;
  }
  if (second === undefined) throw refuse('it holds one key: add the new one first, on every node');
  return step === 'use' ? `${KEY_HEAD}${lineOf(second)}${lineOf(current)}` : `${KEY_HEAD}${lineOf(current)}`;
};

const KEY_HEAD = '# Cluster key of understudy: the same file on every node, mode 0400.\n';
const lineOf = ({ id, bytes }: ClusterKey): string => `understudy-key-1 ${id} ${Buffer.from(bytes).toString('hex')}\n`;
const freshKey = (random: Random, notId: number): ClusterKey => {
  const id = 1 + (Number.parseInt(random.hex(2), 16) % 65_535);
  return { id: id === notId ? (id % 65_535) + 1 : id, bytes: Buffer.from(random.hex(32), 'hex') };
};
