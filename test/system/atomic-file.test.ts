import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readTextSync, writeAtomic, writeAtomicSync } from '../../core/system/atomic-file.js';
import { readJson } from '../../core/system/files.js';
import { systemFiles } from '../../core/system/files-system.js';

const directory = mkdtempSync(join(tmpdir(), 'understudy-atomic-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const ways = {
  async: writeAtomic,
  sync: async (...args: Parameters<typeof writeAtomicSync>) => writeAtomicSync(...args),
};

for (const [name, write] of Object.entries(ways)) {
  test(`${name} write: replaces the whole file, makes its directory, leaves nothing beside it`, async (t) => {
    const path = join(directory, name, 'deep', 'state.json');
    await write(path, '{"a":1,"filler":"long"}', { fsync: true });
    await write(path, '{"a":2}', { fsync: false });
    t.is(readFileSync(path, 'utf8'), '{"a":2}');
    t.is(statSync(path).mode & 0o777, 0o600);
    t.deepEqual(readdirSync(join(directory, name, 'deep')), ['state.json']);
  });

  test(`${name} write: a failure leaves the old file and no remains`, async (t) => {
    const blocked = join(directory, `${name}-blocked`);
    await write(join(blocked, 'entry', 'inside'), 'kept', { fsync: false });
    // A directory with contents cannot be replaced by a file.
    await t.throwsAsync(async () => write(join(blocked, 'entry'), 'new', { fsync: false }));
    t.deepEqual(readdirSync(blocked), ['entry']);
    t.is(readTextSync(join(blocked, 'entry', 'inside')), 'kept');
  });
}

test('readJson: tells absent from broken', (t) => {
  const path = join(directory, 'torn.json');
  t.deepEqual(readJson(systemFiles, path), { kind: 'absent' });
  writeFileSync(path, '{"epoch": 7');
  t.is(readJson(systemFiles, path).kind, 'broken');
  writeFileSync(path, '{"epoch":7}');
  t.deepEqual(readJson(systemFiles, path), { kind: 'read', value: { epoch: 7 } });
});
