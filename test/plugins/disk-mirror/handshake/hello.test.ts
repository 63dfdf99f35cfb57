import test from 'ava';
import { helloFeatures, helloProblem } from '../../../../plugins/disk-mirror/handshake/hello.js';
import type { Frame } from '../../../../plugins/disk-mirror/link/frames.js';

const hello = (features: readonly string[], protocol = 1): Extract<Frame, { t: 'hello' }> =>
  ({ t: 'hello', epoch: 0, protocol, features, session: 1, answers: 0, copy: { node: 'b' } }) as unknown as Extract<Frame, { t: 'hello' }>;

test('the same bitmap, an older version that says nothing of it, and features of a newer one: no problem', (t) => {
  t.is(helloProblem(hello(helloFeatures(4096)), 4096), null);
  t.is(helloProblem(hello([]), 4096), null);
  t.is(helloProblem(hello(['something-new', ...helloFeatures(65_536)]), 65_536), null);
});

test('another size of a bit, another version: said in words', (t) => {
  t.regex(helloProblem(hello(helloFeatures(65_536)), 4096) ?? '', /a bit of the copy of b counts 65536 bytes, one here 4096.*--chunk/);
  t.regex(helloProblem(hello([], 2), 4096) ?? '', /the peer speaks version 2 of the protocol, this node 1/);
});
