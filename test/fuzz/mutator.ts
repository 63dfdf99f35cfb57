// Makes wrong inputs out of right ones, the same ones for the same seed: bytes changed, cut, doubled and spliced, and, for
// what is JSON, members replaced, removed and added by values that parsers get wrong.

/** sfc32: small, fast, and the same everywhere. Source: PractRand, sfc32. */
export class Chance {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(seed: string) {
    let hash = 0x811c_9dc5;
    for (let at = 0; at < seed.length; at += 1) hash = Math.imul(hash ^ seed.charCodeAt(at), 0x0100_0193);
    [this.#a, this.#b, this.#c] = [hash | 0, Math.imul(hash, 0x9e37_79b1) | 0, ~hash | 0];
    for (let turn = 0; turn < 12; turn += 1) this.next();
  }

  next(): number {
    const sum = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  below(limit: number): number {
    return limit <= 1 ? 0 : this.next() % limit;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

const BYTES = [0, 1, 0x0a, 0x20, 0x22, 0x2c, 0x2d, 0x3a, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xed, 0xff] as const;
const WORDS = [
  'null',
  '-1',
  '1e999',
  '-0',
  '9007199254740993',
  '[',
  '{"',
  '}}',
  '\\u0000',
  '\\ud800',
  '__proto__',
  '0x',
  '&a',
  '*a',
  '<<: ',
  '!!',
  '%',
  '\n',
  '\u2028',
];
const WORD_BYTES = WORDS.map((word) => Buffer.from(word));
const MAX_INPUT_BYTES = 8192;

/** One to four changes of the bytes. */
export const mutateBytes = (chance: Chance, seeds: readonly Buffer[]): Buffer => {
  let bytes = Buffer.from(chance.of(seeds));
  for (let edits = 1 + chance.below(4); edits > 0; edits -= 1) bytes = edited(chance, bytes, seeds);
  return bytes.length > MAX_INPUT_BYTES ? bytes.subarray(0, MAX_INPUT_BYTES) : bytes;
};

const edited = (chance: Chance, bytes: Buffer<ArrayBuffer>, seeds: readonly Buffer[]): Buffer<ArrayBuffer> => {
  const at = chance.below(bytes.length);
  const end = Math.min(bytes.length, at + 1 + chance.below(16));
  switch (bytes.length === 0 ? 6 : chance.below(10)) {
    case 0:
    case 1:
      bytes[at]! ^= 1 << chance.below(8);
      return bytes;
    case 2:
      bytes[at] = chance.of(BYTES);
      return bytes;
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 6:
      return Buffer.concat([bytes.subarray(0, at), chance.of(WORD_BYTES), bytes.subarray(at)]);
    case 7: {
      const other = chance.of(seeds);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(chance.below(other.length))]);
    }
    case 8:
      if (bytes.length >= 4)
        bytes.writeUInt32BE(chance.of([0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 65_536, bytes.length]), chance.below(bytes.length - 3));
      return bytes;
    default: {
      const more = Buffer.alloc(1 + chance.below(chance.below(20) === 0 ? 2000 : 40), chance.of(BYTES));
      return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
    }
  }
};

const ODD: readonly unknown[] = [
  null,
  true,
  '',
  '-',
  'x'.repeat(300),
  '\u0000',
  '\u{1f600}\ud800',
  0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 53),
  1e308,
  [],
  {},
  [[]],
  { length: 3 },
  { toString: 1, then: 1 },
  Array.from({ length: 40 }, () => 0),
  'constructor',
  '__proto__',
  'HELD',
];
const KEYS = ['__proto__', 'constructor', 'toString', 'length', 'v', 't', 'id', '', 'then'];

/** The value with one to three of its members, at any depth, replaced, removed, doubled or added to. */
export const mutateJson = (chance: Chance, values: readonly unknown[]): unknown => {
  let value = chance.of(values);
  for (let edits = 1 + chance.below(3); edits > 0; edits -= 1) value = changed(chance, value, values, 0);
  return value;
};

const changed = (chance: Chance, value: unknown, values: readonly unknown[], depth: number): unknown => {
  const list = Array.isArray(value);
  if (typeof value !== 'object' || value === null || depth > 6 || chance.below(8) === 0)
    return chance.below(6) === 0
      ? chance.of(values)
      : typeof value === 'number' && chance.below(2) === 0
        ? value + chance.of([-1, 1, 0.5])
        : chance.of(ODD);
  if (list) {
    const copy = [...(value as unknown[])];
    const at = chance.below(copy.length);
    const kind = copy.length === 0 ? 0 : chance.below(6);
    if (kind === 0) copy.splice(at, 0, chance.of(ODD));
    else if (kind === 1) copy.splice(at, 1);
    else if (kind === 2) copy.push(...copy.slice(0, 64));
    else copy[at] = changed(chance, copy[at], values, depth + 1);
    return copy;
  }
  const entries = Object.entries(value);
  const at = chance.below(entries.length);
  const kind = entries.length === 0 ? 0 : chance.below(6);
  if (kind === 0) entries.push([chance.of(KEYS), chance.of(ODD)]);
  else if (kind === 1) entries.splice(at, 1);
  else entries[at] = [entries[at]![0], changed(chance, entries[at]![1], values, depth + 1)];
  return Object.fromEntries(entries);
};
