// What is no volume is refused at the start, with the way out.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { UnderstudyError } from 'understudy/plugin';
import { openBlockFile } from '../../../../plugins/disk-mirror/io/open-block-file.js';

const refusal = async (path: string, options = {}): Promise<UnderstudyError> => {
  try {
    await (await openBlockFile(path, options)).close();
  } catch (error) {
    if (error instanceof UnderstudyError) return error;
    throw error;
  }
  throw new Error(`${path} was opened`);
};

test('no volume: refused, with what to do', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-open-'));
  try {
    const path = join(directory, 'volume.img');
    const missing = await refusal(path);
    t.is(missing.code, 'NOT_FOUND');
    t.regex(missing.hint, /fallocate -l SIZE/);

    writeFileSync(path, Buffer.alloc(1000));
    t.regex((await refusal(path)).message, /1000 bytes: a volume is a multiple of 512/);
    truncateSync(path, 0);
    t.regex((await refusal(path)).message, /has 0 bytes/);
    truncateSync(path, 1024 * 1024);
    const holes = await refusal(path);
    t.regex(holes.message, /has holes/);
    t.regex(holes.hint, /fallocate -l 1048576/);
    await (await openBlockFile(path, { sparse: true })).close();

    t.regex((await refusal(directory)).message, /cannot open .*EISDIR/);
    t.regex((await refusal('/dev/zero')).message, /neither a file nor a block device/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
