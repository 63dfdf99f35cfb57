// Properties of a session: however the stream of a client is cut, the answers are the same, and they are those of a simple
// disk; whatever order the export answers in, each request is answered once, with its own bytes.
import test from 'ava';
import fc from 'fast-check';
import { MemoryExport } from '../../../support/memory-export.js';
import { COMMAND, FLAG, readReplies, request } from '../../../support/nbd-bytes.js';
import { SessionDriver } from '../../../support/nbd-session.js';

/** The same worlds each time; FC_RUNS asks for more of them. */
const RUNS = { numRuns: Number(process.env['FC_RUNS'] ?? 300), seed: 1 };
const SIZE = 512 * 1024;
const BLOCK = 512;

interface Ask {
  readonly command: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  readonly fill: number;
}

/** Mostly right, sometimes beyond the end, of length zero, or with a flag that does not belong there. */
const anAsk = (longest: number): fc.Arbitrary<Ask> =>
  fc.record({
    command: fc.constantFrom(COMMAND.read, COMMAND.write, COMMAND.write, COMMAND.flush, COMMAND.trim, COMMAND.zeroes, 99),
    flags: fc.constantFrom(0, 0, 0, FLAG.fua, FLAG.noHole),
    offset: fc.oneof(
      fc.nat(SIZE / BLOCK - 1).map((block) => block * BLOCK),
      fc.nat(SIZE),
    ),
    length: fc.oneof(
      fc.nat(16).map((blocks) => blocks * BLOCK),
      fc.nat(longest),
    ),
    fill: fc.nat(255),
  });

const encode = (asks: readonly Ask[]): Buffer =>
  Buffer.concat(
    asks.map(({ command, flags, offset, length, fill }, index) =>
      command === COMMAND.flush
        ? request(command, { flags, cookie: index + 1 })
        : request(command, {
            flags,
            cookie: index + 1,
            offset,
            length,
            ...(command === COMMAND.write ? { data: Buffer.alloc(length, fill) } : {}),
          }),
    ),
  );

/** What the protocol demands, for a disk that answers at once: an error number, or the bytes read. */
const expected = (asks: readonly Ask[]): readonly (number | Buffer)[] => {
  const disk = Buffer.alloc(SIZE);
  return asks.map(({ command, flags, offset, length, fill }) => {
    const beyond = offset + length > SIZE;
    if (command === 99 || (flags === FLAG.noHole && command !== COMMAND.zeroes)) return 22;
    if (command === COMMAND.flush) return 0;
    if (length === 0) return 22;
    if (beyond) return command === COMMAND.write || command === COMMAND.zeroes ? 28 : 22;
    if (command === COMMAND.read) return Buffer.from(disk.subarray(offset, offset + length));
    disk.fill(command === COMMAND.write ? fill : 0, offset, offset + length);
    return 0;
  });
};

const someCuts = fc.array(fc.oneof(fc.nat(40), fc.nat(70_000)), { maxLength: 200 });

/** The stream in pieces of these lengths, the rest as the last one. */
const pieces = (bytes: Buffer, cuts: readonly number[]): readonly Buffer[] => {
  const parts: Buffer[] = [];
  let at = 0;
  for (const cut of cuts) {
    parts.push(bytes.subarray(at, at + cut));
    at += cut;
  }
  return [...parts, bytes.subarray(at)];
};

/** Answers by cookie: an error number or the bytes; a hole is its zeroes. */
const answersOf = (bytes: Buffer, asks: readonly Ask[]): ReadonlyMap<number, number | Buffer> => {
  const answers = new Map<number, number | Buffer>();
  const open = new Map<number, Buffer>();
  const lengthOf = (cookie: number) => (asks[cookie - 1]?.command === COMMAND.read ? (asks[cookie - 1]?.length ?? 0) : 0);
  for (const reply of readReplies(bytes, lengthOf)) {
    const { cookie } = reply;
    if (answers.has(cookie)) throw new Error(`${cookie} is answered twice`);
    if (reply.kind === 'simple') {
      answers.set(cookie, reply.error !== 0 || lengthOf(cookie) === 0 ? reply.error : reply.data);
      continue;
    }
    const into = open.get(cookie) ?? Buffer.alloc(lengthOf(cookie), 0x55);
    open.set(cookie, into);
    const at = reply.data.length >= 12 && reply.type < 3 ? Number(reply.data.readBigUInt64BE()) - (asks[cookie - 1]?.offset ?? 0) : 0;
    if (reply.type === 1) reply.data.copy(into, at, 8);
    else if (reply.type === 2) into.fill(0, at, at + reply.data.readUInt32BE(8));
    if (reply.type >= 0x8000) answers.set(cookie, reply.data.readUInt32BE());
    else if (reply.done) answers.set(cookie, into);
  }
  return answers;
};

const same = (one: number | Buffer | undefined, other: number | Buffer): boolean =>
  Buffer.isBuffer(one) && Buffer.isBuffer(other) ? one.equals(other) : one === other;

for (const structured of [false, true]) {
  test(`${structured ? 'structured' : 'simple'} replies, any fragmentation: the answers of a simple disk`, (t) => {
    fc.assert(
      fc.property(fc.array(anAsk(150_000), { maxLength: 30 }), someCuts, fc.integer({ min: 1, max: 40 }), (asks, cuts, requests) => {
        const served = new MemoryExport({ sizeBytes: SIZE, holes: true });
        const driver = new SessionDriver(served, { structured, limits: { requests, bytes: 400_000 } });
        for (const piece of pieces(encode(asks), cuts)) driver.push(piece);
        driver.settle();
        const answers = answersOf(driver.bytes(), asks);
        expected(asks).forEach((right, index) => {
          if (!same(answers.get(index + 1), right)) throw new Error(`request ${index + 1} is answered ${String(answers.get(index + 1))}`);
        });
        if (answers.size !== asks.length || driver.cut !== null) throw new Error('a request without an answer');
      }),
      RUNS,
    );
    t.pass();
  });
}

test('an export that answers in any order: each request once, with the bytes that were its own', (t) => {
  // Each request has a part of the disk to itself, so that no order of answers changes what is right.
  const part = 64 * 1024;
  const ask = fc.record({
    command: fc.constantFrom(COMMAND.read, COMMAND.write),
    length: fc.integer({ min: 1, max: part }),
    fill: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(
    fc.property(
      fc.array(ask, { minLength: 1, maxLength: 40 }),
      someCuts,
      fc.boolean(),
      fc.infiniteStream(fc.nat()),
      (parts, cuts, structured, choices) => {
        const asks = parts.map((one, index) => ({ ...one, flags: 0, offset: index * part }));
        const waiting: (() => void)[] = [];
        const served = new MemoryExport({ sizeBytes: part * 40, answer: (run) => waiting.push(run) });
        for (const { offset, length, fill, command } of asks)
          if (command === COMMAND.read) served.bytes.fill(fill, offset, offset + length);
        const driver = new SessionDriver(served, { structured, limits: { requests: 8, bytes: 300_000 } });
        const step = () => {
          const [answer] = waiting.splice((choices.next().value ?? 0) % Math.max(1, waiting.length), 1);
          answer?.();
          if ((choices.next().value ?? 0) % 3 === 0) driver.settle();
        };
        for (const piece of pieces(encode(asks), cuts)) {
          driver.push(piece);
          if ((choices.next().value ?? 0) % 2 === 0) step();
        }
        for (let turn = 0; turn < 1000 && (waiting.length > 0 || driver.waitingBytes > 0 || turn < 3); turn += 1) {
          step();
          driver.settle();
        }
        const answers = answersOf(driver.bytes(), asks);
        asks.forEach(({ command, offset, length, fill }, index) => {
          const right = command === COMMAND.write ? 0 : Buffer.alloc(length, fill);
          const answer = answers.get(index + 1);
          if (!same(answer, structured && right === 0 && Buffer.isBuffer(answer) ? Buffer.alloc(0) : right))
            throw new Error(`request ${index + 1} of ${length}`);
          if (!served.bytes.subarray(offset, offset + length).equals(Buffer.alloc(length, fill)))
            throw new Error(`bytes of request ${index + 1}`);
        });
        if (driver.session.underWay !== 0) throw new Error('something is under way still');
      },
    ),
    RUNS,
  );
  t.pass();
});
