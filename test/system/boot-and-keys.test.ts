import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdtempSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  readdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { bootOffsetMs, readBootId } from '../../core/system/boot.js';
import { generateKey, loadKeys, parseKeys } from '../../core/system/key-file.js';
import { bootSalt, pathsFrom } from '../../core/system/paths.js';
import { privateDirectory } from '../../core/system/private-directory.js';
import { systemRandom } from '../../core/system/random.js';

const hosts = (t: { teardown: (end: () => void) => void }) => {
  const directory = mkdtempSync(join(tmpdir(), 'membership-boot-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return { directory, paths: pathsFrom({ run: join(directory, 'run'), state: directory, log: directory }, {}) };
};

test('bootId: the same at every read, another with a salt, another with another salt', (t) => {
  const { paths } = hosts(t);
  const plain = readBootId(paths);
  t.regex(plain, /^[0-9a-f]{32}$/);
  t.is(readBootId(paths), plain);
  mkdirSync(paths.run);
  writeFileSync(bootSalt(paths), 'first power-on');
  const salted = readBootId(paths);
  writeFileSync(bootSalt(paths), 'second power-on');
  t.is(new Set([plain, salted, readBootId(paths)]).size, 3);
});

test('bootId where the kernel has none: kept in the run directory, new when that was emptied', (t) => {
  const { paths, directory } = hosts(t);
  const kernelFile = join(directory, 'none');
  const first = readBootId(paths, { kernelFile });
  t.is(readBootId(paths, { kernelFile }), first);
  t.deepEqual(readdirSync(paths.run), ['boot-id'], 'no drafts are left');
  rmSync(paths.run, { recursive: true });
  t.not(readBootId(paths, { kernelFile }), first);
});

test('bootId: a salt that cannot be read is an error, not a host without salt', (t) => {
  const { paths } = hosts(t);
  mkdirSync(bootSalt(paths), { recursive: true });
  t.throws(() => readBootId(paths), { code: 'REFUSED' });
});

test('boot offset: steady while the host does not sleep', (t) => t.true(Math.abs(bootOffsetMs() - bootOffsetMs()) < 25));

const hex = (seed: string) => seed.repeat(32);
const write = (t: { teardown: (end: () => void) => void }, text: string, mode = 0o400) => {
  const file = join(hosts(t).directory, 'key');
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
};

test('a generated key: can be loaded, 32 bytes, never the same twice', (t) => {
  const keys = loadKeys(write(t, generateKey(systemRandom)));
  t.is(keys.current.bytes.length, 32);
  t.is(keys.all.length, 1);
  t.notDeepEqual(parseKeys(generateKey(systemRandom), 'f').current.bytes, keys.current.bytes);
});

test('two keys: the first signs, both verify', (t) => {
  const keys = loadKeys(
    write(t, `understudy-key-1 2 ${hex('a1')}f\n`.replace('1f\n', '2\n') + `understudy-key-1 1 ${'0123456789abcdef'.repeat(4)}\n`),
  );
  t.is(keys.current.id, 2);
  t.deepEqual(
    keys.all.map(({ id }) => id),
    [2, 1],
  );
});

const good = '0123456789abcdef'.repeat(4);
const broken: [title: string, text: string, mode: number, message: RegExp][] = [
  ['readable by the group', `understudy-key-1 1 ${good}\n`, 0o440, /mode 440 lets others read it/],
  ['readable by all', `understudy-key-1 1 ${good}\n`, 0o404, /mode 404/],
  ['empty', '', 0o400, /holds no key/],
  ['short', `understudy-key-1 1 ${good.slice(2)}\n`, 0o400, /line 1 is not/],
  ['long', `understudy-key-1 1 ${good}00\n`, 0o400, /line 1 is not/],
  ['another version', `understudy-key-2 1 ${good}\n`, 0o400, /line 1 is not/],
  ['key id 0', `understudy-key-1 0 ${good}\n`, 0o400, /key id 0/],
  ['all bytes the same', `understudy-key-1 1 ${'00'.repeat(32)}\n`, 0o400, /one byte repeated/],
  ['three keys', [1, 2, 3].map((id) => `understudy-key-1 ${id} ${good}\n`).join(''), 0o400, /holds 3 keys/],
  ['two keys of one id', `understudy-key-1 1 ${good}\nunderstudy-key-1 1 ${good}\n`, 0o400, /two keys have the id 1/],
  ['a second line that is broken', `understudy-key-1 1 ${good}\nunderstudy-key-1 2 x\n`, 0o400, /line 2 is not/],
  ['too long a file', '#'.repeat(5000), 0o400, /longer than 4096/],
];
for (const [title, text, mode, message] of broken) {
  test(`a key file that is ${title}: KEY_UNUSABLE`, (t) => {
    t.throws(() => loadKeys(write(t, text, mode)), { code: 'KEY_UNUSABLE', message });
  });
}

test('a key file that is missing or a directory: KEY_UNUSABLE', (t) => {
  const { directory } = hosts(t);
  t.throws(() => loadKeys(join(directory, 'none')), { code: 'KEY_UNUSABLE', message: /ENOENT/ });
  t.throws(() => loadKeys(directory), { code: 'KEY_UNUSABLE', message: /not a file/ });
});

test('a run directory: made closed whatever the umask; refused when others can write in it, or it is theirs', (t) => {
  const { directory } = hosts(t);
  const run = join(directory, 'a', 'run');
  privateDirectory(run);
  t.is(statSync(run).mode & 0o777, 0o700);
  for (const mode of [0o770, 0o702, 0o1777]) {
    chmodSync(run, mode);
    t.throws(() => privateDirectory(run), { code: 'REFUSED', message: /others can write in it/ });
  }
  chmodSync(run, 0o755);
  t.notThrows(() => privateDirectory(run));
  if (process.geteuid?.() !== 0) return;
  const link = join(directory, 'link');
  symlinkSync(run, link);
  lchownSync(link, 12_345, 12_345);
  t.throws(() => privateDirectory(link), { code: 'REFUSED', message: /belongs to user 12345/ });
  chownSync(run, 12_345, 12_345);
  t.throws(() => privateDirectory(run), { code: 'REFUSED', message: /belongs to user 12345/ });
});
