import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { KernelDevice, type KernelDeviceOptions } from '../../../../plugins/disk-mirror/attach/kernel-device.js';
import type { KernelDoor } from '../../../../plugins/disk-mirror/attach/kernel-door.js';

/** A kernel with some NBD devices, as /sys/block shows them. */
const kernel = (t: ExecutionContext, devices = 2) => {
  const directory = mkdtempSync(join(tmpdir(), 'kernel-device-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const sysBlock = join(directory, 'block');
  const runDir = join(directory, 'run');
  mkdirSync(runDir);
  for (let index = 0; index < devices; index += 1) mkdirSync(join(sysBlock, `nbd${index}`), { recursive: true });
  mkdirSync(join(sysBlock, 'sda'), { recursive: true });
  const place = (index: number, name: string) => join(sysBlock, `nbd${index}`, name);
  const show = (index: number, backend: string) => {
    writeFileSync(place(index, 'pid'), '1\n');
    writeFileSync(place(index, 'backend'), `${backend}\n`);
  };
  const ioTimeout = (index: number): string => {
    mkdirSync(place(index, 'queue'), { recursive: true });
    return join(place(index, 'queue'), 'io_timeout');
  };
  const calls: string[] = [];
  let fds = 10;
  const trouble: { connect?: Error; held?: boolean } = {};
  const door: KernelDoor = {
    pair: () => ({ ours: (fds += 1), kernels: (fds += 1) }),
    closeFd: (fd) => void calls.push(`close ${fd}`),
    connect: ({ index, backend, socketFd }) => {
      if (trouble.connect !== undefined) throw trouble.connect;
      calls.push(`connect ${index} ${socketFd}`);
      show(index, backend);
    },
    reconnect: ({ index, socketFd }) => void calls.push(`reconnect ${index} ${socketFd}`),
    disconnect: (index) => {
      calls.push(`disconnect ${index}`);
      for (const name of ['pid', 'backend']) rmSync(place(index, name));
    },
  };
  const served: { fd: number; closed: (because: string) => void }[] = [];
  const lost: string[] = [];
  const device = (change: Partial<KernelDeviceOptions> = {}) =>
    new KernelDevice({
      runDir,
      wanted: null,
      backend: 'orders/data',
      sizeBytes: 2 ** 30,
      blockBytes: 4096,
      serverFlags: 1,
      deadConnectionS: 600,
      door: async () => door,
      serve: (fd, closed) => void served.push({ fd, closed }),
      lost: (because) => void lost.push(because),
      sysBlock,
      isHeld: () => Promise.resolve(trouble.held === true),
      ...change,
    });
  return { device, ioTimeout, calls, lost, served, show, trouble };
};

test('attach: the first free device, one end served, the other handed over and closed here; again: the same', async (t) => {
  const { device, calls, served, show } = kernel(t);
  show(0, 'somebody else');
  const first = device();
  t.is(await first.attach(), '/dev/nbd1');
  t.deepEqual(calls, ['connect 1 12', 'close 12']);
  t.deepEqual(
    served.map(({ fd }) => fd),
    [11],
  );
  t.is(await first.attach(), '/dev/nbd1');
  t.is(calls.length, 2);
});

test('the next process of the volume: takes the same device up by another connection, sets up none', async (t) => {
  const { device, calls } = kernel(t);
  await device().attach();
  const next = device();
  t.is(next.there(), '/dev/nbd0');
  t.is(await next.attach(), '/dev/nbd0');
  t.deepEqual(calls.slice(2), ['reconnect 0 14', 'close 14']);
});

test('set up and taken up: the driver looks every 2 s for requests whose connection has died', async (t) => {
  const { device, ioTimeout } = kernel(t);
  writeFileSync(ioTimeout(0), '30000\n');
  await device().attach();
  t.is(readFileSync(ioTimeout(0), 'utf8'), '2000\n');
  writeFileSync(ioTimeout(0), '30000\n');
  await device().attach();
  t.is(readFileSync(ioTimeout(0), 'utf8'), '2000\n');
});

test('the connection dies under the same process: it is told, and connected again', async (t) => {
  const { device, calls, lost, served } = kernel(t);
  const one = device();
  await one.attach();
  served[0]?.closed('cut');
  t.is(await one.attach(), '/dev/nbd0');
  t.deepEqual(calls.slice(2), ['reconnect 0 14', 'close 14']);
  t.deepEqual(lost, ['cut']);
});

test('the end of an older connection told late: the newer one stays', async (t) => {
  const { device, calls, served } = kernel(t);
  const one = device();
  await one.attach();
  served[0]?.closed('cut');
  await one.attach();
  served[0]?.closed('cut');
  await one.attach();
  t.is(calls.filter((call) => call.startsWith('reconnect')).length, 1);
});

test('detach: the kernel lets it go; again, and with none: nothing', async (t) => {
  const { device, calls, lost, served } = kernel(t);
  const one = device();
  await one.attach();
  await one.detach();
  served[0]?.closed('the driver let go');
  t.deepEqual(lost, []);
  t.is(one.there(), null);
  await one.detach();
  t.deepEqual(calls.slice(2), ['disconnect 0']);
});

test('detach while it is mounted: refused, and the device stays as it is', async (t) => {
  const { device, calls, trouble } = kernel(t);
  const one = device();
  await one.attach();
  trouble.held = true;
  await t.throwsAsync(one.detach(), { message: /\/dev\/nbd0 is mounted or held/ });
  t.is(one.there(), '/dev/nbd0');
  t.false(calls.includes('disconnect 0'));
});

test('after a reboot the noted device is free, or somebody else’s: it is not taken for ours', async (t) => {
  const { device, calls, show } = kernel(t);
  const one = device();
  await one.attach();
  show(0, 'other/data');
  const next = device();
  t.is(next.there(), null);
  t.is(await next.attach(), '/dev/nbd1');
  t.false(calls.some((call) => call.startsWith('reconnect') || call.startsWith('disconnect')));
});

test('the driver refuses: an error, the other end closed, and the next attempt begins anew', async (t) => {
  const { device, calls, trouble } = kernel(t);
  trouble.connect = new Error('no');
  const one = device();
  await t.throwsAsync(one.attach(), { message: 'no' });
  t.deepEqual(calls, ['close 12']);
  delete trouble.connect;
  t.is(await one.attach(), '/dev/nbd0');
});

const refusals: [title: string, devices: number, busy: readonly number[], wanted: string | null, message: RegExp][] = [
  ['no module', 0, [], null, /no NBD devices/],
  ['all in use', 2, [0, 1], null, /all 2 NBD devices are in use/],
  ['the wanted one in use', 2, [1], '/dev/nbd1', /\/dev\/nbd1 is set up by somebody else/],
  ['the wanted one missing', 2, [], '/dev/nbd7', /there is no \/dev\/nbd7/],
];
for (const [title, devices, busy, wanted, message] of refusals) {
  test(`${title}: refused with what to do`, async (t) => {
    const { device, calls, show } = kernel(t, devices);
    for (const index of busy) show(index, 'somebody else');
    const error = await t.throwsAsync(device({ wanted }).attach(), { message });
    t.truthy((error as { details?: { hint?: string } }).details?.hint);
    t.deepEqual(calls, []);
  });
}
