// The mirror's file calls on what needs root: block devices, a file system that is full, and those that take writes at once.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openBlockFile } from '../../plugins/disk-mirror/io/open-block-file.js';
import { asked, blockFileSuite } from '../plugins/disk-mirror/io/block-file-suite.js';

const run = (file: string, ...args: string[]): string => execFileSync(file, args, { encoding: 'utf8' }).trim();

const device = (image: string) => {
  const path = run('losetup', '-f', '--show', image);
  return { path, free: () => void run('losetup', '-d', path) };
};

for (const [name, options] of [
  ['block device', { sparse: true }],
  ['block device, past the page cache', { direct: true }],
  ['block device without koffi', { kernel: null }],
] as const)
  blockFileSuite({ name, directory: tmpdir(), options, device });

const inDirectory = async (body: (directory: string) => Promise<void>): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-root-'));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
};

test('a device that is mounted, or has another mirror on it: refused', async (t) => {
  await inDirectory(async (directory) => {
    const image = join(directory, 'image');
    writeFileSync(image, '');
    truncateSync(image, 16 * 1024 * 1024);
    const { path, free } = device(image);
    try {
      const file = await openBlockFile(path);
      t.is(file.sizeBytes, 16 * 1024 * 1024);
      await t.throwsAsync(openBlockFile(path), { code: 'REFUSED', message: /mounted, or another program/ });
      await file.close();
      run('mkfs.ext4', '-q', path);
      run('mount', path, directory);
      await t.throwsAsync(openBlockFile(path), { code: 'REFUSED', message: /mounted, or another program/ });
      run('umount', directory);
    } finally {
      free();
    }
  });
});

for (const [name, options] of [
  ['at once', { sparse: true }],
  ['on threads', { sparse: true, instant: false }],
] as const)
  test(`a file system that is full, ${name}: ENOSPC once, then nothing is believed any more`, async (t) => {
    await inDirectory(async (directory) => {
      run('mount', '-t', 'tmpfs', '-o', 'size=1m', 'understudy-test', directory);
      try {
        const path = join(directory, 'volume.img');
        writeFileSync(path, '');
        truncateSync(path, 4 * 1024 * 1024);
        const file = await openBlockFile(path, options);
        const bytes = Buffer.alloc(256 * 1024, 1);
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_, at) => asked((done) => file.write(bytes, at * bytes.length, done))),
        );
        t.is(answers[0], null, 'what fits is taken');
        t.regex(answers.at(-1)?.message ?? '', /ENOSPC|short write/);
        t.regex((await asked((done) => file.flush(done)))?.message ?? '', /ENOSPC|short write/);
        t.regex((await asked((done) => file.write(bytes, 0, done)))?.message ?? '', /ENOSPC|short write/, 'even where there is room');
        await file.close();
      } finally {
        run('umount', directory);
      }
    });
  });
