// The contract of io/block-file.ts, on every way in which a volume is opened.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'ava';
import { livesInMemory } from '../../../../plugins/disk-mirror/io/instant-calls.js';
import { ERRNO, kernelCalls, type KernelCalls } from '../../../../plugins/disk-mirror/io/kernel-calls.js';
import { openBlockFile } from '../../../../plugins/disk-mirror/io/open-block-file.js';
import { blockFileSuite, fileSuite, type Kind, withFile } from './block-file-suite.js';

const real = await kernelCalls();
const memory = existsSync('/dev/shm') && livesInMemory('/dev/shm') ? '/dev/shm' : tmpdir();
const disk = tmpdir();

/** A kernel that takes only part of what it is given, or nothing, as a page cache under pressure does. */
const moody = (kernel: KernelCalls): KernelCalls => {
  let mood = 0;
  const part = (bytes: Uint8Array, call: (bytes: Uint8Array) => number): number => {
    mood = (mood + 1) % 4;
    if (mood === 0) return -ERRNO.EAGAIN;
    return mood === 1 && bytes.length > 512 ? call(bytes.subarray(0, 512)) : call(bytes);
  };
  return {
    ...kernel,
    readNow: (fd, into, offset) => part(into, (bytes) => kernel.readNow(fd, bytes, offset)),
    writeNow: (fd, bytes, offset) => part(bytes, (some) => kernel.writeNow(fd, some, offset)),
  };
};

const kinds: readonly Kind[] = [
  { name: 'memory', directory: memory, options: { sparse: true } },
  { name: 'disk', directory: disk, options: { sparse: true } },
  { name: 'disk, all allocated', directory: disk, options: {} },
  { name: 'threads', directory: disk, options: { instant: false } },
  { name: 'without koffi', directory: disk, options: { kernel: null } },
  { name: 'past the page cache', directory: disk, options: { direct: true, sparse: true } },
  { name: 'past the page cache without koffi', directory: disk, options: { direct: true, kernel: null } },
  ...(typeof real === 'string' ? [] : [{ name: 'partly at once', directory: disk, options: { kernel: moody(real) } }]),
];
for (const kind of kinds) {
  blockFileSuite(kind);
  fileSuite(kind);
}

test('koffi is an optional dependency that this machine has: the calls are there', (t) => {
  t.is(typeof real, 'object', JSON.stringify(real));
});

for (const [first, second] of [
  ['with', 'with'],
  ['with', 'without'],
  ['without', 'with'],
  ['without', 'without'],
] as const)
  test(`two at one file, the first ${first} koffi, the second ${second}: the second is refused`, async (t) => {
    const options = (which: 'with' | 'without') => (which === 'with' ? {} : { kernel: null });
    await withFile({ name: '', directory: disk, options: options(first) }, async (_file, path) => {
      await t.throwsAsync(openBlockFile(path, options(second)), { code: 'REFUSED', message: /another process has the lock/ });
    });
  });
