import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { link, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readBlocks, writeBlocks } from '../../../../plugins/disk-mirror/metadata/device.js';
import { openFileDevice } from '../../../../plugins/disk-mirror/metadata/file-device.js';
import { parseHolder, recordOf } from '../../../../plugins/disk-mirror/metadata/lock-alone.js';
import { deviceNumbers } from '../../../../plugins/disk-mirror/metadata/opened-size.js';
import { onLinux } from '../../../support/on-linux.js';

const fileOf = async (t: ExecutionContext, bytes = 1024 * 1024): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'understudy-metadata-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'metadata');
  await writeFile(file, Buffer.alloc(bytes));
  return file;
};

onLinux('what is written is in the file when it answers, and is read back, also more than one transfer', async (t) => {
  const file = await fileOf(t);
  const device = await openFileDevice(file);
  const bytes = Uint8Array.from({ length: 512 * 1024 }, (_, index) => (index * 7 + (index >> 12)) & 0xff);
  await writeBlocks(device, bytes, 8192);
  t.deepEqual((await readFile(file)).subarray(8192, 8192 + bytes.length), Buffer.from(bytes));
  const back = new Uint8Array(bytes.length);
  await readBlocks(device, back, 8192);
  t.deepEqual(back, bytes);
  t.is(device.sizeBytes, 1024 * 1024);
  await device.close();
});

onLinux('several calls at once: each answers once, in the order they were asked', async (t) => {
  const device = await openFileDevice(await fileOf(t));
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      await writeBlocks(device, new Uint8Array(4096).fill(index), (index % 3) * 4096);
      order.push(index);
    }),
  );
  t.deepEqual(
    order,
    Array.from({ length: 20 }, (_, index) => index),
  );
  const back = new Uint8Array(4096);
  await readBlocks(device, back, 4096);
  t.is(back[0], 19);
  await device.close();
});

onLinux('closed twice, as a store and its opener do: once', async (t) => {
  const device = await openFileDevice(await fileOf(t));
  await Promise.all([device.close(), device.close()]);
  await t.notThrowsAsync(device.close());
});

onLinux('behind the end: reading is an error; no whole blocks: a RangeError', async (t) => {
  const device = await openFileDevice(await fileOf(t, 8192));
  await t.throwsAsync(readBlocks(device, new Uint8Array(8192), 4096), { message: /short read: 4096 of 8192/ });
  t.throws(() => device.write(new Uint8Array(100), 0, t.falsy), { instanceOf: RangeError });
  await device.close();
});

onLinux('a file that is not there: METADATA with the next command', async (t) => {
  await t.throwsAsync(openFileDevice('/nowhere/metadata'), { code: 'METADATA', message: /ENOENT/ });
});

for (const [how, options] of [
  ['koffi', {}],
  ['flock(1)', { kernel: null }],
] as const) {
  onLinux(`the lock by ${how}: a second holder is refused, through another name too, and gets it when the first has closed`, async (t) => {
    const file = await fileOf(t);
    await link(file, `${file}-again`);
    const first = await openFileDevice(file, options);
    await t.throwsAsync(openFileDevice(file, options), {
      code: 'REFUSED',
      message: new RegExp(`another process has the lock; process ${process.pid}`),
    });
    await t.throwsAsync(openFileDevice(`${file}-again`, options), { code: 'REFUSED', message: /another process has the lock/ });
    t.is(parseHolder(await readFile(recordOf(file), 'utf8'))?.pid, process.pid);
    await first.close();
    t.false(existsSync(recordOf(file)));
    await (await openFileDevice(file, options)).close();
  });

  onLinux(`the lock by ${how} is seen by another process, and goes with a process that is killed`, async (t) => {
    const file = await fileOf(t);
    const held = await openFileDevice(file, options);
    const shut = await new Promise((resolve) => spawn('flock', ['-n', file, 'true']).once('exit', resolve));
    t.is(shut, 1);
    await held.close();
    const holder = spawn('flock', ['-n', file, 'sh', '-c', 'echo held; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    t.teardown(() => void holder.kill('SIGKILL'));
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    await t.throwsAsync(openFileDevice(file, options), { code: 'REFUSED' });
    const ended = new Promise((resolve) => holder.once('exit', resolve));
    process.kill(-(holder.pid ?? 0), 'SIGKILL');
    await ended;
    for (let tries = 0; tries < 100; tries++) {
      const opened = await openFileDevice(file, options).catch(() => null);
      if (opened === null) continue;
      await opened.close();
      return t.pass();
    }
    return t.fail('the lock outlived its process');
  });
}

onLinux(
  'a record whose process lives though the lock was free: refused; one of a dead process or another boot, or torn: taken over',
  async (t) => {
    const file = await fileOf(t);
    await writeFile(recordOf(file), '77 123 boot\n');
    const self = { pid: 5, startTime: '9', bootId: 'boot' };
    await t.throwsAsync(openFileDevice(file, { self, isAlive: () => true }), {
      code: 'REFUSED',
      message: /process 77 uses .* gave the lock to both/,
    });
    const device = await openFileDevice(file, { self, isAlive: () => false });
    t.is(await readFile(recordOf(file), 'utf8'), '5 9 boot\n');
    await device.close();
    await writeFile(recordOf(file), '77 1');
    await (await openFileDevice(file, { self, isAlive: () => true })).close();
  },
);

onLinux('a full disk: the error rises, and says so', async (t) => {
  const device = await openFileDevice('/dev/full').catch((error: unknown) => error);
  t.like(device, { code: 'METADATA', message: '/dev/full is neither a file nor a block device' });
});

test('the two numbers of a device', (t) => {
  t.deepEqual(deviceNumbers(0xfe00), { major: 254, minor: 0 });
  t.deepEqual(deviceNumbers(0x10_3305), { major: 51, minor: 261 });
  t.deepEqual(deviceNumbers(0x801), { major: 8, minor: 1 });
});

onLinux('opening does not change a byte', async (t) => {
  const file = await fileOf(t, 8192);
  const handle = await open(file, 'r+');
  await handle.write(Buffer.from('kept'), 0, 4, 0);
  await handle.close();
  await (await openFileDevice(file)).close();
  t.is((await readFile(file)).subarray(0, 4).toString(), 'kept');
});
