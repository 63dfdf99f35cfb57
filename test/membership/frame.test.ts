import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import type { BeatGroup, Message } from '../../core/membership/contract.js';
import { type Frame, MAX_BODY_BYTES, MAX_FRAME_BYTES, createFrameCodec } from '../../core/membership/frame.js';
import { decodeMessage, encodeMessage } from '../../core/membership/message.js';
import { RateLimit } from '../../core/membership/rate-limit.js';
import { ReplayWindow } from '../../core/membership/replay-window.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 200);
const key = (id: number) => ({ id, bytes: Buffer.alloc(32, id) });
const keysOf = (...ids: number[]) => ({ current: key(ids[0]!), all: ids.map(key) });
const codecOf = (self: string, { cluster = 'orders', keys = keysOf(1), peers = ['a', 'b', 'c'] } = {}) =>
  createFrameCodec({ cluster, self, peers: peers.filter((peer) => peer !== self), keys });

const frame: Frame = {
  peer: 'b',
  bootId: '0123456789abcdef0123456789abcdef',
  seq: 12_345,
  network: 1,
  sentUs: 5_000_001,
  echo: { sentUs: 4_000_000, heldUs: 77 },
  challenge: 'c1'.repeat(16),
  answer: 'd2'.repeat(16),
  body: Buffer.from('["n","db",7]'),
};

test('a frame from a to b: b reads what a wrote, and who wrote it', (t) => {
  for (const sent of [
    frame,
    { ...frame, echo: null, answer: null, body: Buffer.alloc(0) },
    { ...frame, body: randomBytes(MAX_BODY_BYTES) },
  ]) {
    const bytes = codecOf('a').encode(sent);
    t.true(bytes.length <= MAX_FRAME_BYTES);
    const decoded = codecOf('b').decode(bytes);
    t.true(decoded.ok);
    if (decoded.ok)
      t.deepEqual({ ...decoded.frame, body: Buffer.from(decoded.frame.body) }, { ...sent, peer: 'a', body: Buffer.from(sent.body) });
  }
});

const bytes = Buffer.from(codecOf('a').encode(frame));
const long = Buffer.from(codecOf('a').encode({ ...frame, body: Buffer.alloc(300, 65) }));
const other = (change: Parameters<typeof codecOf>[1], self = 'a') => Buffer.from(codecOf(self, change).encode(frame));
const refused: [title: string, bytes: Buffer, reason: string][] = [
  ['nothing', Buffer.alloc(0), 'too-short'],
  ['random bytes', randomBytes(300), 'not-ours'],
  ['longer than 1 KiB', Buffer.concat([bytes, Buffer.alloc(1024)]), 'too-long'],
  ['without its tag', bytes.subarray(0, -32), 'too-short'],
  ['with a long body, without its tag', long.subarray(0, -32), 'bad-tag'],
  ['with a long body, with half a tag', long.subarray(0, -16), 'bad-tag'],
  ['with a tag of length 0 and no body', bytes.subarray(0, 126), 'too-short'],
  ['with a tag of zeros', Buffer.concat([bytes.subarray(0, -32), Buffer.alloc(32)]), 'bad-tag'],
  ['of another version', Buffer.from(bytes).fill(9, 4, 5), 'not-ours'],
  [
    'of another key of the same id',
    Buffer.from(codecOf('a', { keys: { current: { id: 1 } as never, all: [{ id: 1, bytes: Buffer.alloc(32, 9) }] } }).encode(frame)),
    'bad-tag',
  ],
  ['of a key id that is not known', other({ keys: keysOf(2) }), 'unknown-key'],
  ['of another cluster with the same key', other({ cluster: 'other' }), 'wrong-cluster'],
  ['for another node', Buffer.from(codecOf('a').encode({ ...frame, peer: 'c' })), 'wrong-recipient'],
  ['from a node that is not in the config', other({ peers: ['a', 'b', 'z'] }, 'z'), 'unknown-sender'],
  [
    'from ourselves, reflected',
    Buffer.from(createFrameCodec({ cluster: 'orders', self: 'b', peers: ['b'], keys: keysOf(1) }).encode(frame)),
    'unknown-sender',
  ],
];
for (const [title, wrong, reason] of refused) {
  test(`a frame ${title}: dropped as ${reason}`, (t) => t.deepEqual(codecOf('b').decode(wrong), { ok: false, reason } as never));
}

test('two keys during a rotation: both sides understand whichever the other signs with', (t) => {
  const old = codecOf('a', { keys: keysOf(1, 2) });
  const renewed = codecOf('b', { keys: keysOf(2, 1) });
  t.true(renewed.decode(old.encode(frame)).ok);
  t.true(old.decode(renewed.encode({ ...frame, peer: 'a' })).ok);
});

test('fuzz: no mutated or made-up datagram is ever accepted, and none throws', (t) => {
  const codec = codecOf('b');
  const runs = Number(process.env['FUZZ_RUNS'] ?? 100_000);
  const reasons = new Set<string>();
  let chance = randomBytes(65_536);
  let at = 0;
  const next = (below: number) => {
    if (at + 4 > chance.length) [chance, at] = [randomBytes(65_536), 0];
    at += 4;
    return chance.readUInt32LE(at - 4) % below;
  };
  for (let run = 0; run < runs; run++) {
    let mutated = Buffer.from(bytes);
    for (let edits = 1 + next(3); edits > 0; edits--) {
      const kind = next(5);
      const place = next(Math.max(1, mutated.length));
      if (kind === 0) mutated = mutated.subarray(0, place);
      else if (kind === 1) mutated = Buffer.concat([mutated, randomBytes(1 + next(64))]);
      else if (kind === 2)
        mutated = Buffer.concat([mutated.subarray(0, place), mutated.subarray(Math.min(mutated.length, place + 1 + next(8)))]);
      else if (mutated.length > 0) mutated[place]! ^= 1 << next(8);
    }
    if (mutated.equals(bytes)) continue;
    const decoded = codec.decode(mutated);
    if (decoded.ok) return t.fail(`accepted ${mutated.toString('hex')}`);
    reasons.add(decoded.reason);
  }
  t.true(reasons.has('bad-tag') && reasons.has('too-short'));
});

test('replay window: every number at most once, in any order', (t) => {
  fc.assert(
    fc.property(fc.nat(5000), fc.array(fc.integer({ min: -50, max: 3000 }), { maxLength: 400 }), (start, steps) => {
      const window = new ReplayWindow(start);
      const accepted = new Set<number>();
      let top = start;
      for (const step of steps) {
        const seq = start + step;
        const fresh = seq > start && seq > top - 1024 && !accepted.has(seq);
        t.is(window.accept(seq), fresh);
        if (fresh) accepted.add(seq);
        top = fresh ? Math.max(top, seq) : top;
      }
    }),
    { numRuns },
  );
});

test('rate limit: the burst, then what time gives, never more than the burst', (t) => {
  const limit = new RateLimit({ perSecond: 100, burst: 3 }, 0);
  t.deepEqual(
    [0, 0, 0, 0, 9, 10, 10].map((atMs) => limit.take(atMs)),
    [true, true, true, false, false, true, false],
  );
  t.deepEqual(
    Array.from({ length: 5 }, () => limit.take(1e9)),
    [true, true, true, false, false],
  );
});

const name = fc.string({ maxLength: 40 });
const anyGroup: fc.Arbitrary<BeatGroup> = fc
  .record({
    group: name,
    epoch: fc.nat(),
    seq: fc.nat(),
    version: name,
    phase: fc.constantFrom('idle', 'observe', 'acquiring', 'held', 'releasing', 'fencing-self'),
    stopped: fc.boolean(),
  })
  .chain((group) => fc.constantFrom<BeatGroup>(group, { ...group, unattended: true }));
const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant('beat' as const), cfgHash: name, groups: fc.array(anyGroup, { maxLength: 60 }) }),
  fc.record({ kind: fc.constantFrom('nudge' as const, 'please-stop' as const), group: name, epoch: fc.nat() }),
  fc.record({
    kind: fc.constant('ask' as const),
    group: name,
    epoch: fc.nat(),
    round: fc.nat(),
    waitMs: fc.nat({ max: 3_600_000 }),
  }),
  fc.record({ kind: fc.constant('grant' as const), group: name, epoch: fc.nat(), round: fc.nat(), sees: fc.boolean() }),
  fc.record({ kind: fc.constant('refuse' as const), group: name, epoch: fc.nat(), round: fc.nat(), knows: fc.nat(), because: name }),
);

test('a message of any size: its parts fit a frame and together say the same', (t) => {
  fc.assert(
    fc.property(anyMessage, (message) => {
      const bodies = encodeMessage(message, MAX_BODY_BYTES);
      const parts = (bodies ?? []).map((body) => decodeMessage(body));
      t.true((bodies ?? []).every((body) => body.length <= MAX_BODY_BYTES));
      t.deepEqual(
        parts.map((part) => [part?.part, part?.parts]),
        parts.map((_, index) => [index, parts.length]),
      );
      if (message.kind !== 'beat')
        return t.deepEqual(
          parts.map((part) => part?.message),
          [message],
        );
      return t.deepEqual(
        parts.flatMap((part) => (part?.message.kind === 'beat' ? part.message.groups : [])),
        message.groups as BeatGroup[],
      );
    }),
    { numRuns },
  );
});

test('bodies that are authentic but not understood: null, whatever they are', (t) => {
  const odd = [
    '',
    '{',
    '[]',
    '["a","g",1,2,3600001]',
    '["a","g",1,2]',
    '["g","g",1,2,2]',
    '["g","g",1,2,1,0]',
    '["r","g",1,2,3]',
    '["n","g",1,2]',
    'null',
    '{"kind":"beat"}',
    '["b"]',
    '["b","h",0,0,[]]',
    '["b","h",1,1,[]]',
    '["b","h",0,65,[]]',
    '["b","h",0,1,[["g",1,1,"v",9,0]]]',
    '["b","h",0,1,[["g",-1,1,"v",0,0]]]',
    '["b","h",0,1,[["g",1,1,"v",0,true]]]',
    '["n","g"]',
    '["n","g",1.5]',
    '["n",1,1]',
    '["x","g",1]',
    `["n","${'g'.repeat(200)}",1]`,
  ];
  for (const body of odd) t.is(decodeMessage(Buffer.from(body)), null, body);
  fc.assert(
    fc.property(fc.json(), (json) => void decodeMessage(Buffer.from(json))),
    { numRuns },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (any) => void decodeMessage(any)),
    { numRuns },
  );
});
