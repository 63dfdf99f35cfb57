// The NBD server before the clients of others: libnbd's tools, QEMU's, fio; and before a crowd that sends nonsense while one
// real client is served. NBD_FLOOD_SECONDS is how long that lasts (60).
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from 'understudy/plugin';
import { info, OPTION, option, request, u32 } from '../support/nbd-bytes.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const SIZE = 32 * MIB;
const FLOOD_SECONDS = Number(process.env['NBD_FLOOD_SECONDS'] ?? 60);
const FLOOD_BYTES_PER_SECOND = 24 * MIB;
const script = (name: string): string => fileURLToPath(new URL(`../../../test/support/${name}`, import.meta.url));

/** The system's Python knows libnbd; another one that comes first in PATH does not. */
const run = async (command: string, ...argv: string[]): Promise<string> => {
  const env = { ...process.env, PATH: `/usr/bin:${process.env['PATH'] ?? ''}` };
  const { stdout, stderr } = await promisify(execFile)(command, argv, { env, timeout: 120_000, maxBuffer: 64 * MIB });
  return stdout + stderr;
};

/** `where`: a Unix socket (default) or HOST:PORT; `inside`: a command that runs another one somewhere. */
const serve = async (
  t: ExecutionContext,
  options: Record<string, unknown> = {},
  where: string | null = null,
  inside: readonly string[] = [],
) => {
  const directory = mkdtempSync(join(tmpdir(), 'nbd-'));
  const path = where ?? join(directory, 'private', 'vol.sock');
  const program = fileURLToPath(new URL('../support/nbd-serve.js', import.meta.url));
  const argv = [process.execPath, program, path, JSON.stringify({ sizeBytes: SIZE, minimumBlockBytes: 512, ...options })];
  const [command = '', ...rest] = [...inside, ...argv];
  const child: ChildProcess = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  t.teardown(() => child.kill('SIGKILL'));
  await until('the server is ready', () => said.includes('ready'));
  return {
    directory,
    path,
    child,
    uri: (name = 'vol') => `nbd+unix:///${name}?socket=${path}`,
    said: () => said,
    /** HOST:PORT as it is bound. */
    address: () => /^at (.*)$/m.exec(said)?.[1] ?? '',
    /** The most memory so far, MB. */
    rss: () => Math.max(...[...said.matchAll(/^rss (\d+)$/gm)].map(([, mb]) => Number(mb))),
  };
};

/** A file of `SIZE` with random data and holes. */
const image = (directory: string, name: string): string => {
  const path = join(directory, name);
  const bytes = Buffer.alloc(SIZE);
  for (let at = 0; at < SIZE; at += 4 * MIB) randomBytes(MIB + 512).copy(bytes, at);
  writeFileSync(path, bytes);
  return path;
};

test('nbdinfo: names, sizes, flags, and a map of data and holes', async (t) => {
  const { uri, directory } = await serve(t);
  const list = JSON.parse(await run('nbdinfo', '--json', '--list', uri(''))) as { readonly exports: readonly Record<string, unknown>[] };
  t.deepEqual(
    list.exports.map((one) => [
      one['export-name'],
      one['description'],
      one['export-size'],
      one['is_read_only'],
      one['can_multi_conn'],
      one['can_fua'],
    ]),
    [
      ['vol', 'a disk in memory', SIZE, false, false, true],
      ['other', 'another disk', 65_536, false, false, true],
      ['frozen', 'nothing changes', 65_536, true, false, true],
    ],
  );
  await run('nbdcopy', '--destination-is-zero', '--sparse=4096', image(directory, 'in'), uri());
  const map = JSON.parse(await run('nbdinfo', '--json', '--map', uri())) as readonly {
    readonly offset: number;
    readonly length: number;
    readonly type: number;
  }[];
  t.is(
    map.reduce((sum, { length }) => sum + length, 0),
    SIZE,
  );
  t.deepEqual(
    map.slice(0, 2).map(({ type }) => type),
    [0, 3],
  );
  t.regex(await run('nbdinfo', '--map=understudy:dirty-bitmap', '--totals', uri()), /\b1\b/);
});

test('nbdcopy there and back: the same bytes; qemu-img finds no difference', async (t) => {
  const { uri, directory } = await serve(t);
  const source = image(directory, 'in');
  await run('nbdcopy', '--flush', '--requests=64', source, uri());
  await run('nbdcopy', uri(), join(directory, 'out'));
  t.true(readFileSync(source).equals(readFileSync(join(directory, 'out'))));
  t.regex(await run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', source, uri()), /Images are identical/);
  await run('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', uri(), join(directory, 'out'));
  t.true(readFileSync(source).equals(readFileSync(join(directory, 'out'))));
});

test('nbdsh: every command with every flag, what must fail fails as it must', async (t) => {
  const { uri } = await serve(t);
  const set = "h.add_meta_context('base:allocation'); h.add_meta_context('understudy:dirty-bitmap')";
  t.regex(
    await run('nbdsh', '-c', set, '-c', `h.connect_uri("${uri()}")`, '-c', `exec(open("${script('nbd-commands.py')}").read())`),
    /all commands/,
  );
});

test('nbdsh with simple replies, to a read-only export, by EXPORT_NAME', async (t) => {
  const { uri } = await serve(t);
  const plain = 'h.set_request_structured_replies(False)';
  const check = 'h.pwrite(b"x" * 512, 512); assert h.pread(1024, 0) == bytes(512) + b"x" * 512; assert not h.can_df(); print("good")';
  t.regex(await run('nbdsh', '-c', plain, '-c', `h.connect_uri("${uri()}")`, '-c', check), /good/);
  const frozen =
    'h.set_strict_mode(0)\nassert h.is_read_only()\ntry:\n  h.pwrite(b"x", 0)\nexcept nbd.Error as error:\n  print(error.errno)';
  t.regex(await run('nbdsh', '-c', `h.connect_uri("${uri('frozen')}")`, '-c', frozen), /EPERM/);
  const old = 'h.set_handshake_flags(0)';
  t.regex(
    await run('nbdsh', '-c', old, '-c', `h.connect_uri("${uri()}")`, '-c', 'print(h.get_size(), h.get_protocol())'),
    /33554432 newstyle\b/,
  );
});

test('qemu-io: patterns, zeroes, discard, flush, a write with FUA', async (t) => {
  const { uri } = await serve(t);
  const commands = [
    'write -P 0x5a 4096 8192',
    'read -P 0x5a 4096 8192',
    'write -z 4096 4096',
    'read -P 0 4096 4096',
    'discard 0 64k',
    'flush',
    'write -f -P 7 1M 1M',
    'read -P 7 1M 1M',
    'aio_write -P 9 2M 64k',
    'aio_flush',
    'read -P 9 2M 64k',
  ];
  const said = await run('qemu-io', '-f', 'raw', uri(), ...commands.flatMap((command) => ['-c', command]));
  t.notRegex(said, /error|failed|mismatch/i);
});

test('nbdinfo over TLS with a shared key; without it nothing is told', async (t) => {
  const { path, directory } = await serve(t, { psk: '07'.repeat(32) });
  const keys = join(directory, 'keys');
  writeFileSync(keys, `kim:${'07'.repeat(32)}\n`, { mode: 0o600 });
  t.regex(
    await run('nbdinfo', `nbds+unix://kim@/vol?socket=${path}&tls-psk-file=${keys}`),
    /newstyle-fixed with TLS[\s\S]*export-size: 33554432/,
  );
  await t.throwsAsync(run('nbdinfo', `nbd+unix:///vol?socket=${path}`));
  writeFileSync(keys, `kim:${'08'.repeat(32)}\n`, { mode: 0o600 });
  await t.throwsAsync(run('nbdinfo', `nbds+unix://kim@/vol?socket=${path}&tls-psk-file=${keys}`));
});

test('TCP and a certificate: nbdinfo and nbdcopy trust who signed it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'nbd-'));
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'ca-cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '2'];
  await run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...subject);
  const { address } = await serve(t, { certificate: { key, certificate } }, '127.0.0.1:0');
  const uri = `nbds://localhost:${address().split(':')[1]}/vol?tls-certificates=${directory}`;
  t.regex(await run('nbdinfo', uri), /newstyle-fixed with TLS/);
  const source = image(directory, 'in');
  await run('nbdcopy', source, uri);
  await run('nbdcopy', uri, join(directory, 'out'));
  t.true(readFileSync(source).equals(readFileSync(join(directory, 'out'))));
});

const NETNS = 'understudy-nbd';

test('TCP, a client whose host is gone without a word: another is refused while that is not known, then let in', async (t) => {
  await run('ip', 'netns', 'delete', NETNS).catch(() => 'it was not there');
  await run('ip', 'netns', 'add', NETNS);
  t.teardown(() => run('ip', 'netns', 'delete', NETNS));
  const inside = ['ip', 'netns', 'exec', NETNS];
  const there = (...argv: string[]) => run('ip', 'netns', 'exec', NETNS, ...argv);
  await there('ip', 'link', 'set', 'lo', 'up');
  await serve(t, {}, '127.0.0.1:10809', inside);
  const client = script('nbd-reconnect.py');
  const first = spawn('ip', ['netns', 'exec', NETNS, '/usr/bin/python3', client, '127.0.0.2', 'stay'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => first.kill('SIGKILL'));
  await new Promise((resolve) => first.stdout.once('data', resolve));
  t.regex(await there('/usr/bin/python3', client, '127.0.0.3', 'once'), /^refused: another client/);
  await there(
    '/usr/sbin/nft',
    'add table ip gone; add chain ip gone in { type filter hook input priority 0; }; add rule ip gone in ip saddr 127.0.0.2 drop',
  );
  first.kill('SIGKILL');
  const said = await there('/usr/bin/python3', client, '127.0.0.3', 'until');
  const seconds = Number(/^in after ([\d.]+) s/.exec(said)?.[1]);
  t.log(said.trim());
  t.true(seconds > 2 && seconds < 20, said);
});

/** fio's nbd engine knows fsync, not fdatasync. */
const fio = (uri: string, ...more: string[]): Promise<string> =>
  run(
    'fio',
    '--name=v',
    '--ioengine=nbd',
    `--uri=${uri}`,
    `--size=${SIZE}`,
    '--verify=crc32c',
    '--do_verify=1',
    '--verify_fatal=1',
    '--verify_state_save=0',
    '--fsync=32',
    ...more,
  );

test('fio: what it wrote is there, checksum by checksum', async (t) => {
  const { uri } = await serve(t);
  t.regex(await fio(uri(), '--rw=randwrite', '--bs=512-64k', '--iodepth=16'), /err= 0/);
  t.regex(await fio(uri(), '--rw=randrw', '--bs=4k', '--iodepth=32', '--verify_backlog=64'), /err= 0/);
});

/** Streams that begin well and end in nonsense; each connection sends one of them, over and over, until it is cut off. */
const NONSENSE: readonly (() => Buffer)[] = [
  () => randomBytes(4096),
  () =>
    Buffer.concat([
      u32(3),
      option(OPTION.info, randomBytes(300)),
      option(OPTION.go, info('nobody')),
      option(77, randomBytes(60_000)),
      option(OPTION.list, 'x'),
    ]),
  () => Buffer.concat([u32(3), Buffer.from('IHAVEOPT'), u32(OPTION.list), u32(900_000), randomBytes(64_000)]),
  () => Buffer.concat([u32(3), Buffer.from('IHAVEOPT'), u32(OPTION.go), u32(0xffff_ffff), randomBytes(4096)]),
  () =>
    Buffer.concat([
      u32(3),
      option(OPTION.structured),
      option(OPTION.go, info('other')),
      request(99, { flags: 0xffff }),
      request(1, { offset: 65_530, data: randomBytes(60_000) }),
      randomBytes(28),
    ]),
  () =>
    Buffer.concat([
      u32(3),
      option(OPTION.exportName, 'other'),
      request(0, { length: 65_536 }),
      request(1, { length: 0xffff_ff00 }),
      randomBytes(64_000),
    ]),
];

test(`nonsense at ${FLOOD_BYTES_PER_SECOND / MIB} MiB/s for ${FLOOD_SECONDS} s: a real client is served, memory is bounded`, async (t) => {
  t.timeout((FLOOD_SECONDS + 120) * 1000);
  const { uri, path, rss, said, child } = await serve(t);
  await until('its memory is known', () => said().includes('rss'));
  const before = rss();
  let [sent, connections, flooding] = [0, 0, true];
  const open = new Set<Socket>();
  const endMs = systemClock.nowMs() + FLOOD_SECONDS * 1000;
  const began = systemClock.nowMs();
  const flood = async (): Promise<void> => {
    for (let turn = 0; flooding && systemClock.nowMs() < endMs; turn += 1) {
      while (open.size >= 40) await systemClock.sleep(2);
      const socket = connect(path);
      connections += 1;
      open.add(socket);
      socket.on('error', () => {}).on('close', () => open.delete(socket));
      // Every other one reads nothing; one of twenty is left to be cut off, at the latest by its deadline.
      if (turn % 2 === 0) socket.resume();
      const bytes = (NONSENSE[turn % NONSENSE.length] as () => Buffer)();
      for (let repeat = 0; repeat < 8 && !socket.destroyed; repeat += 1) {
        socket.write(bytes);
        sent += bytes.length;
        const aheadMs = (1000 * sent) / FLOOD_BYTES_PER_SECOND - (systemClock.nowMs() - began);
        if (aheadMs > 0) await systemClock.sleep(aheadMs);
      }
      if (turn % 20 > 0) setTimeout(() => socket.destroy(), 50);
    }
  };
  const flooded = flood();
  const served = await fio(
    uri(),
    '--rw=randrw',
    '--bs=4k-64k',
    '--iodepth=8',
    '--verify_backlog=32',
    '--time_based',
    `--runtime=${FLOOD_SECONDS}`,
  );
  t.regex(served, /err= 0/);
  flooding = false;
  await flooded;
  for (const socket of open) socket.destroy();
  const operations = Number(/issued rwts: total=(\d+)/.exec(served)?.[1]);
  t.log(
    `${Math.round(sent / MIB)} MiB in ${connections} connections, ${operations} reads of the real client, ${before} MB before, at most ${rss()} MB`,
  );
  t.true(sent > 0.25 * FLOOD_SECONDS * FLOOD_BYTES_PER_SECOND, `only ${sent} bytes of nonsense`);
  t.true(operations > 5 * FLOOD_SECONDS, served);
  t.true(rss() < before + 256, `${rss()} MB`);
  t.regex(await run('nbdinfo', uri()), /export-size: 33554432/);
  child.kill('SIGTERM');
  await until('the server ends', () => said().includes('ended'));
  t.regex(said(), /^ended 0$/m);
});
