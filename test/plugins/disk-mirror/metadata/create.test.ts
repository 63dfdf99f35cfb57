import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemExec } from 'understudy/plugin';
import { attachMetadata } from '../../../../plugins/disk-mirror/metadata/attach.js';
import { createCopy, type CreatePaths } from '../../../../plugins/disk-mirror/metadata/create.js';
import { type CreateRequest, type Place, planCreate } from '../../../../plugins/disk-mirror/metadata/create-plan.js';
import { openFileDevice } from '../../../../plugins/disk-mirror/metadata/file-device.js';
import { contentOf, PROBE_BYTES } from '../../../../plugins/disk-mirror/metadata/signatures.js';
import { expectedOf } from '../../../support/mirror/metadata-copy.js';
import { onLinux } from '../../../support/on-linux.js';
import { superblockState, VOLUME_UUID } from '../../../support/mirror/superblock-state.js';

const MIB = 1024 * 1024;
const { sizeBytes: _, ...identity } = superblockState().identity;
const REQUEST: CreateRequest = { identity, node: 'a', peer: 'b', mode: 'sync', initial: 'second' };
const place = (changes: Partial<Place>): Place => ({
  path: '/data',
  kind: 'file',
  sizeBytes: 64 * MIB,
  allocatedBytes: 64 * MIB,
  content: [],
  allZero: null,
  ...changes,
});
const NO_METADATA = place({ path: '/metadata', kind: 'missing', sizeBytes: 0, allocatedBytes: 0 });

for (const [initial, disk, generation, full, resync] of [
  ['first', 'UpToDate', 1, false, null],
  ['second', 'Inconsistent', 0, true, 'full'],
  ['both-zero', 'UpToDate', 1, false, null],
  ['seeded', 'Inconsistent', 0, true, 'checksum'],
] as const)
  test(`the copy begins as ${initial}: ${disk}`, (t) => {
    const plan = planCreate({ ...REQUEST, initial }, place({ allZero: true }), NO_METADATA);
    if (!plan.ok) return t.fail(plan.problems.join());
    const last = plan.steps.at(-1);
    if (last?.do !== 'write-metadata') return t.fail();
    const { state } = last;
    t.deepEqual([state.disk, state.current.counter, state.fullSyncNeeded, state.resync?.kind ?? null], [disk, generation, full, resync]);
    t.deepEqual(
      plan.steps.map((step) => step.do),
      ['allocate', 'write-metadata'],
    );
    return undefined;
  });

test('both-zero: the two copies have the same generation without a word between them', (t) => {
  const [one, other] = ['a', 'b'].map((node) =>
    planCreate({ ...REQUEST, initial: 'both-zero', node, peer: node === 'a' ? 'b' : 'a' }, place({ allZero: true }), NO_METADATA),
  );
  const generation = (plan: typeof one) =>
    plan?.ok === true ? plan.steps.flatMap((step) => (step.do === 'write-metadata' ? [step.state.current] : [])) : [];
  t.deepEqual(generation(one), generation(other));
  t.is(generation(one).length, 1);
});

for (const [title, request, data, metadata, problem] of [
  ['data that would be overwritten', {}, { content: ['an XFS file system'] }, {}, /\/data holds an XFS file system, which the peer/],
  ['both-zero over data that nobody looked at', { initial: 'both-zero' }, {}, {}, /not all zero/],
  ['both-zero over data', { initial: 'both-zero' }, { allZero: false, content: ['swap space'] }, {}, /it holds swap space/],
  ['seeded without data', { initial: 'seeded', sizeBytes: MIB }, { kind: 'missing' }, {}, /nothing that was copied/],
  ['no size and no file', {}, { kind: 'missing' }, {}, /name its size/],
  ['another size than the file has', { sizeBytes: 32 * MIB }, {}, {}, /67108864 bytes and not 33554432/],
  ['a file of an odd size', {}, { sizeBytes: 1000 }, {}, /multiple of 4096/],
  ['metadata in the place of data', { initial: 'first' }, { content: ['metadata of a disk mirror'] }, {}, /exchanged/],
  [
    'metadata that is there',
    {},
    {},
    { kind: 'file', sizeBytes: 2 * MIB, allocatedBytes: 2 * MIB, content: ['metadata of a disk mirror'] },
    /overwritten only when/,
  ],
  [
    'too small a partition for metadata',
    {},
    {},
    { kind: 'block-device', sizeBytes: MIB, allocatedBytes: MIB },
    /1048576 bytes; the metadata of this volume needs/,
  ],
  ['a metadata file with holes', {}, {}, { kind: 'file', sizeBytes: 2 * MIB, allocatedBytes: 4096 }, /has holes/],
  ['one place for both', {}, {}, { path: '/data' }, /the same place/],
] as const)
  test(`refused: ${title}`, (t) => {
    const plan = planCreate({ ...REQUEST, ...request }, place(data as Partial<Place>), { ...NO_METADATA, ...metadata } as Place);
    t.false(plan.ok);
    if (!plan.ok) t.regex(plan.problems.join('\n'), problem);
  });

test('what a person said may go is overwritten; holes are filled unless they are wanted', (t) => {
  const there = place({ path: '/metadata', content: ['metadata of a disk mirror'] });
  const plan = planCreate({ ...REQUEST, overwrite: ['data', 'metadata'] }, place({ content: ['swap space'], allocatedBytes: 0 }), there);
  t.deepEqual(plan.ok && plan.steps.map((step) => step.do), ['allocate', 'write-metadata']);
  const sparse = planCreate({ ...REQUEST, allowSparse: true, overwrite: ['metadata'] }, place({ allocatedBytes: 0 }), there);
  t.deepEqual(sparse.ok && sparse.steps.map((step) => step.do), ['write-metadata']);
});

const put = (size: number, at: number, text: string | readonly number[]): Buffer => {
  const bytes = Buffer.alloc(size);
  bytes.set(typeof text === 'string' ? Buffer.from(text) : text, at < 0 ? size + at : at);
  return bytes;
};
for (const [name, at, text] of [
  ['an ext2, ext3 or ext4 file system', 1080, [0x53, 0xef]],
  ['an XFS file system', 0, 'XFSB'],
  ['a Btrfs file system', 65_600, '_BHRfS_M'],
  ['a physical volume of LVM', 512, 'LABELONE'],
  ['a GPT partition table', 512, 'EFI PART'],
  ['the second copy of a GPT partition table', -512, 'EFI PART'],
  ['metadata of a disk mirror', 0, 'USM1'],
  ['metadata of a disk mirror', MIB, 'USM1'],
  ['data of an unknown kind (byte 777 is not zero)', 777, 'x'],
  ['data of an unknown kind (byte 9 before the end is not zero)', -9, 'x'],
] as const)
  test(`on a device with ${JSON.stringify(text)} at ${at}: ${name}`, (t) => {
    const bytes = put(4 * MIB, at, text);
    t.deepEqual(contentOf(bytes.subarray(0, PROBE_BYTES), bytes.subarray(-PROBE_BYTES)), [name]);
  });

test('a DOS partition table, and nothing at all', (t) => {
  const bytes = put(MIB, 510, [0x55, 0xaa]);
  bytes[450] = 0x83;
  t.deepEqual(contentOf(bytes, bytes), ['a DOS partition table']);
  t.deepEqual(contentOf(new Uint8Array(MIB), new Uint8Array(MIB)), []);
});

const pathsOf = async (t: ExecutionContext): Promise<CreatePaths> => {
  const directory = await mkdtemp(join(tmpdir(), 'understudy-create-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return { data: join(directory, 'data'), metadata: join(directory, 'metadata') };
};
const attached = async (paths: CreatePaths, sizeBytes: number) => {
  const device = await openFileDevice(paths.metadata);
  const { attached: found, store } = await attachMetadata(device, {
    name: paths.metadata,
    expected: { ...expectedOf(superblockState({ sizeBytes })), volumeUuid: VOLUME_UUID },
  });
  await store.close();
  return found;
};

onLinux('from nothing: both files are made with all their space, and attach', async (t) => {
  const paths = await pathsOf(t);
  t.is(
    await createCopy({ ...REQUEST, sizeBytes: 64 * MIB }, paths, systemExec()),
    'Inconsistent, everything comes from the peer; chunks of 4 KiB',
  );
  for (const path of [paths.data, paths.metadata]) {
    const { size, blocks } = await stat(path);
    t.true(blocks * 512 >= size && size > 0, path);
  }
  t.is((await stat(paths.data)).size, 64 * MIB);
  const { superblock, bits, repairs } = await attached(paths, 64 * MIB);
  t.deepEqual([superblock.disk, superblock.fullSyncNeeded, bits.count(), repairs.length], ['Inconsistent', true, 0, 0]);
});

onLinux('again over what is there: refused with everything that stands in the way, and not a byte is changed', async (t) => {
  const paths = await pathsOf(t);
  await createCopy({ ...REQUEST, sizeBytes: 8 * MIB }, paths, systemExec());
  const handle = await open(paths.data, 'r+');
  await handle.write(Buffer.from('precious'), 0, 8, 4 * MIB - 8);
  await handle.write(Buffer.from('precious'), 0, 8, 8 * MIB - 8);
  await handle.close();
  const before = await Promise.all([readFile(paths.data), readFile(paths.metadata)]);
  const error = await t.throwsAsync(createCopy(REQUEST, paths, systemExec()), { code: 'METADATA' });
  t.regex(error.message, /data holds data of an unknown kind \(byte 1 before the end.*\n.*metadata holds metadata of a disk mirror/);
  t.true((await readFile(paths.data)).equals(before[0]) && (await readFile(paths.metadata)).equals(before[1]));
});

onLinux('`first` keeps the data byte for byte and fills its holes; `both-zero` looks at every byte', async (t) => {
  const paths = await pathsOf(t);
  await writeFile(paths.data, Buffer.alloc(0));
  await truncate(paths.data, 16 * MIB);
  const handle = await open(paths.data, 'r+');
  await handle.write(Buffer.from('kept'), 0, 4, 5 * MIB);
  await handle.close();
  await t.throwsAsync(createCopy({ ...REQUEST, initial: 'both-zero' }, paths, systemExec()), { message: /not all zero/ });
  const before = await readFile(paths.data);
  await createCopy({ ...REQUEST, initial: 'first' }, paths, systemExec());
  t.true((await readFile(paths.data)).equals(before));
  t.true((await stat(paths.data)).blocks * 512 >= 16 * MIB);
  t.is((await attached(paths, 16 * MIB)).superblock.disk, 'UpToDate');
});

onLinux('no room: an error with what to do', async (t) => {
  const paths = await pathsOf(t);
  const error = await t.throwsAsync(createCopy({ ...REQUEST, sizeBytes: 16 * 1024 ** 4 }, paths, systemExec()), { code: 'METADATA' });
  t.regex(error.message, /cannot allocate 17592186044416 bytes/);
});

onLinux('while a mirror has the metadata: refused', async (t) => {
  const paths = await pathsOf(t);
  await createCopy({ ...REQUEST, sizeBytes: 8 * MIB }, paths, systemExec());
  const device = await openFileDevice(paths.metadata);
  await t.throwsAsync(createCopy({ ...REQUEST, overwrite: ['metadata'] }, paths, systemExec()), {
    code: 'REFUSED',
    message: /another process has the lock/,
  });
  await device.close();
});
