// The checksum that stands for the tags of frames in simulated worlds refuses whatever these worlds do to a frame.
import test from 'ava';
import { type Frame, createFrameCodec } from '../../core/membership/frame.js';
import { TAG_BYTES } from '../../core/membership/frame-mac.js';
import { simulatedMac } from '../../core/simulation/sim-mac.js';

const codecOf = (self: string, key = 7) => {
  const current = { id: 1, bytes: Buffer.alloc(32, key) };
  return createFrameCodec({
    cluster: 'orders',
    self,
    peers: self === 'a' ? ['b'] : ['a'],
    keys: { current, all: [current] },
    mac: simulatedMac,
  });
};
const frame: Frame = {
  peer: 'b',
  bootId: 'a-boot-1',
  seq: 2 ** 40 + 3,
  network: 1,
  sentUs: 5_000_001,
  echo: { sentUs: 4_000_000, heldUs: 77 },
  challenge: 'c1'.repeat(16),
  answer: null,
  body: Buffer.from('["b","cfg",0,1,[["db",3,9,"9",3,0]]]'),
};
const bytes = Buffer.from(codecOf('a').encode(frame));

test('a frame from a to b: read as it was written', (t) => {
  const decoded = codecOf('b').decode(bytes);
  t.true(decoded.ok);
  if (decoded.ok)
    t.deepEqual({ ...decoded.frame, body: Buffer.from(decoded.frame.body) }, { ...frame, peer: 'a', body: frame.body as Buffer });
});

test('another key: refused, whichever bit of the key is another', (t) => {
  for (let bit = 0; bit < 8; bit += 1) t.deepEqual(codecOf('b', 7 ^ (1 << bit)).decode(bytes), { ok: false, reason: 'bad-tag' });
});

test('one flipped bit, anywhere: refused', (t) => {
  for (let bit = 0; bit < 8 * bytes.length; bit += 1) {
    const broken = Buffer.from(bytes);
    broken[bit >> 3]! ^= 1 << (bit & 7);
    t.false(codecOf('b').decode(broken).ok, `bit ${bit}`);
  }
});

test('cut or longer at the end: refused', (t) => {
  for (let cut = 1; cut < bytes.length; cut += 1) t.false(codecOf('b').decode(bytes.subarray(0, -cut)).ok, `${cut} bytes cut`);
  for (let more = 1; more <= 2 * TAG_BYTES; more += 1) t.false(codecOf('b').decode(Buffer.concat([bytes, Buffer.alloc(more)])).ok);
});
