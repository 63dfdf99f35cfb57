// What an operator asks of two real mirror processes that were written apart: what they would do and why, what each would lose, kept
// in a file, given up by name; one process away, its metadata is read instead.
import { appendFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { diskMirrorOptions } from '../../plugins/disk-mirror/agent/definition.js';
import { mirrorCommand, type Flags, type Volume } from '../../plugins/disk-mirror/commands/mirror-command.js';
import { SUPERBLOCK_AT } from '../../plugins/disk-mirror/metadata/layout.js';
import type { OwnChanges } from '../../plugins/disk-mirror/commands/own-changes.js';
import { MirrorPair, type NodeName, otherOf } from '../support/mirror-pair/mirror-pair.js';
import { CLUSTER, GROUP, RESOURCE } from '../support/mirror-pair/protocol.js';
import { said } from '../support/said.js';

const test = anyTest.serial as unknown as TestFn;
const SIZE = 16 * 1024 * 1024;
const BLOCK = 4096;
const NAME = `${GROUP}.${RESOURCE}`;

const volumeOf = (pair: MirrorPair, node: NodeName): Volume => {
  const at = (place: string): string => join(pair.directory, node, place);
  return {
    cluster: CLUSTER,
    node,
    bootId: `boot-${node}-1`,
    group: GROUP,
    resource: RESOURCE,
    use: 'disk-mirror',
    options: diskMirrorOptions.parse({ ...pair.place(node), attach: 'none', sparse: true }),
    peers: [otherOf(node)],
    paths: { run: at('run'), state: at('state'), log: at('log') },
  };
};

const mirror = (
  pair: MirrorPair,
  node: NodeName,
  verb: string,
  flags: Flags = {},
): Promise<{ readonly code: number; readonly out: string }> => said(() => mirrorCommand.run(flags, [verb, NAME], volumeOf(pair, node)));

const write = async (pair: MirrorPair, node: NodeName, block: number, byte: number): Promise<void> => {
  const client = await pair.client(node);
  await client.write(block * BLOCK, Buffer.alloc(BLOCK, byte));
  await client.flush();
  client.close();
};

/** `a` wrote blocks 10 and 11 alone and died; `b`, by force, 11 and 20; then `a` came back: both stay apart. */
const parted = async (t: ExecutionContext): Promise<MirrorPair> => {
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE, options: { peerTimeout: '1s' } });
  await write(pair, 'a', 5, 1);
  await pair.kill('b');
  await write(pair, 'a', 10, 2);
  await write(pair, 'a', 11, 2);
  await pair.kill('a');
  pair.record.release();
  await pair.boot('b');
  const epoch = pair.record.acquire('b', true);
  await pair.promote('b', epoch, true);
  await write(pair, 'b', 11, 3);
  await write(pair, 'b', 20, 3);
  await pair.boot('a');
  for (const node of ['a', 'b'] as const) await pair.until(`${node} is split`, node, ({ connection }) => connection === 'split');
  return pair;
};

test('two copies that are one: nothing to do, exit 0; connect alone is refused with what to do instead', async (t) => {
  t.timeout(120_000);
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE });
  for (const node of ['a', 'b'] as const) {
    const { code, out } = await mirror(pair, node, 'connect', { whatIf: true });
    t.is(code, 0);
    t.regex(out, /nothing to do, both copies are equal/);
  }
  await t.throwsAsync(mirror(pair, 'a', 'connect'), { message: /connect by themselves/ });
  await pair.kill('b');
  await write(pair, 'a', 7, 9);
  const { code, out } = await mirror(pair, 'a', 'connect', { whatIf: true, peerMetadata: pair.place('b').metadata, json: true });
  t.is(code, 0);
  t.like(JSON.parse(out), { verdict: 'sync', source: 'a', target: 'b', how: 'bitmap' });
  await t.throwsAsync(mirror(pair, 'b', 'connect', { whatIf: true }), {
    message: /no process of .* runs here that could ask the copy on a/,
  });
});

test('two copies written apart: said alike on both sides, without one of the processes too, and nothing is changed by asking', async (t) => {
  t.timeout(120_000);
  const pair = await parted(t);
  for (const node of ['a', 'b', 'a'] as const) {
    const { code, out } = await mirror(pair, node, 'connect', { whatIf: true });
    t.is(code, 4, out);
    t.regex(out, /SPLIT: both would stay as they are/);
    t.regex(out, /rule both-wrote/);
    t.is(out.match(/from its process/g)?.length, 2, `both were heard now: ${out}`);
    for (const each of ['a', 'b'] as const) await pair.until(`${each} is as it was`, each, ({ connection }) => connection === 'split');
  }
  await pair.kill('a');
  const { code, out } = await mirror(pair, 'a', 'connect', { whatIf: true, peerMetadata: pair.place('b').metadata });
  t.is(code, 4);
  t.regex(out, /SPLIT.*both-wrote/s);
  t.true((await pair.view('b')).serving);
});

test('resolve: says what would be lost and where, keeps it, and gives it up only when the volume is named again', async (t) => {
  t.timeout(120_000);
  const pair = await parted(t);
  await t.throwsAsync(mirror(pair, 'a', 'resolve', { victim: 'b' }), { message: /say --victim a there/ });
  await t.throwsAsync(mirror(pair, 'a', 'resolve', { victim: 'a' }), { message: /needs the name of the volume once more/ });
  await t.throwsAsync(mirror(pair, 'a', 'resolve', { victim: 'a', acceptDataLoss: 'other.data' }), { message: /names differ/ });

  const theirs = await mirror(pair, 'b', 'resolve', { list: true, json: true });
  const list = join(pair.directory, 'b.json');
  writeFileSync(list, theirs.out);
  const served = JSON.parse(theirs.out) as OwnChanges;
  t.deepEqual(
    served.ranges.filter(([offset]) => offset === 11 * BLOCK || offset === 20 * BLOCK),
    [
      [11 * BLOCK, BLOCK],
      [20 * BLOCK, BLOCK],
    ],
  );

  const mine = JSON.parse((await mirror(pair, 'a', 'resolve', { list: true, json: true, against: list })).out) as OwnChanges & {
    readonly overlap: { readonly bytes: number; readonly ranges: readonly (readonly [number, number])[] };
  };
  const covers = (block: number): boolean => mine.ranges.some(([at, length]) => at <= block * BLOCK && block * BLOCK < at + length);
  t.true(covers(10) && covers(11), JSON.stringify(mine));
  t.is(mine.everything, false);
  t.true(mine.overlap.ranges.some(([at, length]) => at <= 11 * BLOCK && 11 * BLOCK < at + length));
  await t.throwsAsync(mirror(pair, 'b', 'resolve', { export: join(pair.directory, 'no') }), { message: /it serves|serves on b/ });

  const kept = join(pair.directory, 'kept');
  const before = readFileSync(pair.place('a').backing);
  t.is((await mirror(pair, 'a', 'resolve', { victim: 'a', export: kept })).code, 0);
  t.is((await pair.view('a')).connection, 'split', 'looking gives nothing up');
  const bytes = readFileSync(kept);
  const lines = readFileSync(`${kept}.ranges`, 'utf8')
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('#'));
  for (const line of lines) {
    const [at = 0, from = 0, length = 0] = line.split(' ').map(Number);
    t.true(bytes.subarray(from, from + length).equals(before.subarray(at, at + length)), line);
  }
  t.is(bytes.length, mine.bytes);

  const { code, out } = await mirror(pair, 'a', 'resolve', { victim: 'a', acceptDataLoss: NAME });
  t.is(code, 0);
  t.regex(out, /a would lose at most/);
  await pair.whole('b');
  await pair.equalAtRest('b');
  const image = readFileSync(pair.place('a').backing);
  t.deepEqual(
    [5, 10, 11, 20].map((block) => image[block * BLOCK]),
    [1, 0, 3, 3],
  );
});

test('resize: the copies grow one after the other under writes, connect again with one size, and what is new is mirrored', async (t) => {
  t.timeout(120_000);
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE, options: { peerTimeout: '1s' } });
  // One page of the bitmap more: the file of the metadata has to grow too.
  const larger = 130 * 1024 * 1024;
  const pageFiles = ['a', 'b'].map((node) => pair.place(node as NodeName).metadata);
  const before = pageFiles.map((file) => statSync(file).size);
  await write(pair, 'a', 3, 1);
  await t.throwsAsync(mirror(pair, 'b', 'resize'), { message: /process of db\.data runs/ });
  const grown = async (node: NodeName): Promise<void> => {
    await pair.kill(node);
    // Rubbish behind the end, as a grown logical volume may have.
    appendFileSync(pair.place(node).backing, Buffer.alloc(8 * 1024 * 1024, node === 'a' ? 0xaa : 0xbb));
    truncateSync(pair.place(node).backing, larger);
    const dry = await mirror(pair, node, 'resize', { dryRun: true });
    t.regex(dry.out, /zeroes behind byte 16777216/);
    t.is(readFileSync(pair.place(node).backing)[SIZE], node === 'a' ? 0xaa : 0xbb);
    t.regex((await mirror(pair, node, 'resize')).out, /16777216 to 136314880 bytes/);
    t.regex((await mirror(pair, node, 'resize')).out, /has 136314880 bytes already/);
    await pair.boot(node);
  };
  await grown('b');
  await write(pair, 'a', 4, 2);
  const refused = await pair.until('the sizes differ', 'a', ({ connection }) => connection === 'refused');
  t.true(refused.serving);
  t.regex(refused.because, /the copy of a has 16777216 bytes and that of b 136314880: grow the smaller one/);
  await grown('a');
  const whole = await pair.whole('a');
  t.is(whole.sizeBytes, larger);
  const last = larger / BLOCK - 1;
  const client = await pair.client('a');
  t.is(
    (await client.read(SIZE, BLOCK)).findIndex((byte) => byte !== 0),
    -1,
    'what is new reads as zeroes',
  );
  client.close();
  t.deepEqual(
    pageFiles.map((file) => statSync(file).size),
    before.map((bytes) => bytes + 4096),
  );
  await write(pair, 'a', last, 7);
  await pair.equalAtRest('a');
  const image = readFileSync(pair.place('b').backing);
  t.deepEqual(
    [3, 4, last].map((block) => image[block * BLOCK]),
    [1, 2, 7],
  );

  await pair.kill('b');
  await t.throwsAsync(mirror(pair, 'b', 'resize', { size: '16MiB' }), { message: /is not made smaller/ });
  await t.throwsAsync(mirror(pair, 'b', 'resize', { size: '1GiB' }), { message: /has 136314880 bytes/ });
  truncateSync(pair.place('b').backing, SIZE);
  await t.throwsAsync(mirror(pair, 'b', 'resize'), { message: /has 16777216 bytes, the volume 136314880/ });
});

test('recover: only what cannot be read is replaced, by its name, kept beside; everything comes from the other copy', async (t) => {
  t.timeout(120_000);
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE, options: { peerTimeout: '1s' } });
  await write(pair, 'a', 9, 4);
  await t.throwsAsync(mirror(pair, 'b', 'recover', { acceptDataLoss: NAME }), { message: /both copies of its superblock are good/ });
  await pair.kill('b');
  await write(pair, 'a', 10, 5);
  const { metadata, backing } = pair.place('b');
  const damaged = readFileSync(metadata);
  for (const at of SUPERBLOCK_AT) damaged.fill(0x5a, at, at + 4096);
  writeFileSync(metadata, damaged);
  writeFileSync(backing, Buffer.alloc(SIZE, 0x77));
  await pair.boot('b');
  const { because } = await pair.until('it says what to do', 'b', ({ disk }) => disk === 'Diskless');
  t.regex(because, /understudy mirror recover/);
  await t.throwsAsync(mirror(pair, 'b', 'recover'), { message: /is overwritten by the copy on a/ });
  await t.throwsAsync(mirror(pair, 'b', 'recover', { acceptDataLoss: NAME, uuid: 'ff'.repeat(16) }), { message: /was of the volume 0011/ });
  t.true(readFileSync(metadata).equals(damaged), 'nothing was changed so far');
  mkdirSync(join(pair.directory, 'b', 'state'), { recursive: true });
  t.regex((await mirror(pair, 'b', 'recover', { acceptDataLoss: NAME })).out, /Inconsistent, everything comes from the peer/);
  t.true(readFileSync(join(pair.directory, 'b', 'state', `${GROUP}-${RESOURCE}.metadata.damaged`)).equals(damaged));
  await pair.whole('a');
  await pair.equalAtRest('a');
  const image = readFileSync(backing);
  t.deepEqual(
    [8, 9, 10].map((block) => image[block * BLOCK]),
    [0, 4, 5],
  );
});
