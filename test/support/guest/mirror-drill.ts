// The drill that runs inside the guest: a mirror pair, the kernel's NBD device on it, ext4, two applications that fsync every
// line, and mirror processes that are held and killed under them. `node mirror-drill.js FINDINGS`: what was seen is written as
// JSON; judging it is the test's. Fails only where the drill cannot go on.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../core/system/clock.js';
import type { KernelFindings, Said } from './findings.js';
import { MirrorPair } from './mirror-pair.js';

const [findingsFile = ''] = process.argv.slice(2);
const DIRECTORY = '/run/pair';
const MOUNT = '/run/mounted';
const WRITER = fileURLToPath(new URL('./fsync-writer.js', import.meta.url));
const SIZE_BYTES = 192 * 1024 * 1024;
/** Longer than the 30 s after which the kernel asks about a request that has no answer. */
const HELD_MS = 35_000;
const KILLS = 3;
const WRITERS = [1, 2];
const BETWEEN_MS = 3_000;
const PROGRAM_MS = 60_000;

/** The standby may be silent for long: what is looked at here is what the kernel does meanwhile. */
const pair = new MirrorPair(DIRECTORY, { attach: 'nbd', peerTimeout: '60s', activeExtents: 64 }, SIZE_BYTES);
/** A program that waits for the device cannot be ended: at the deadline it is left behind. */
const said = (file: string, ...args: string[]): Promise<Said> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ exitCode: null, output: `${file} did not end within ${PROGRAM_MS} ms` }), PROGRAM_MS);
    execFile(file, args, { encoding: 'utf8' }, (error, stdout, stderr) => {
      clearTimeout(timer);
      resolve({ exitCode: error === null ? 0 : Number(error.code), output: `${stdout}${stderr}` });
    });
  });
const run = async (file: string, ...args: string[]): Promise<string> => {
  const { exitCode, output } = await said(file, ...args);
  if (exitCode !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${exitCode}: ${output}`);
  return output;
};
const notesOf = (writer: number) => join('/run', `notes-${writer}`);
const fileOf = (writer: number, at = MOUNT) => join(at, `lines-${writer}`);
const noted = (writer: number): readonly string[] => readFileSync(notesOf(writer), 'utf8').split('\n').slice(0, -1);
const progress = (): number => WRITERS.reduce((sum, writer) => sum + statSync(notesOf(writer)).size, 0);
const step = (what: string) => console.log(`${Math.round(systemClock.nowMs())} ${what}`);

/** How long until every application has had an answer that it asked for after now. */
const untilWriting = async (limitMs: number): Promise<number> => {
  const fromMs = systemClock.nowMs();
  const sizes = WRITERS.map((writer) => statSync(notesOf(writer)).size);
  // Two lines more: the first may have been answered before and noted after.
  const goesOn = () => WRITERS.every((writer, index) => statSync(notesOf(writer)).size > (sizes[index] ?? 0) + 20);
  while (!goesOn()) {
    if (systemClock.nowMs() - fromMs > limitMs) throw new Error(`the applications do not go on within ${limitMs} ms`);
    await systemClock.sleep(20);
  }
  return Math.round(systemClock.nowMs() - fromMs);
};

/** Of the lines that were fsynced, those that are not in the file. */
const lostIn = (at: string): readonly string[] =>
  WRITERS.flatMap((writer) => {
    const lines = new Set(readFileSync(fileOf(writer, at), 'utf8').split('\n'));
    const last = noted(writer).filter((note) => !note.startsWith('error')).length;
    return Array.from({ length: last }, (_, index) => index + 1)
      .map((number) => `line ${String(number).padStart(8, '0')} ${'x'.repeat(number % 900)}`)
      .filter((line) => !lines.has(line))
      .map((line) => `writer ${writer}: ${line.slice(0, 13)}`);
  });

const drill = async (): Promise<KernelFindings> => {
  await pair.start('b', false);
  await pair.start('a', true);
  await pair.until('a', 'the pair is connected', ({ connection }) => connection === 'connected');
  await pair.order('a', { do: 'promote', epoch: 1, force: false });
  const device = (await pair.order('a', { do: 'attach' })) as string;
  step(`attached ${device}`);
  const sizeBytes = Number(await run('blockdev', '--getsize64', device));
  await run('mkfs.ext4', '-q', '-F', device);
  mkdirSync(MOUNT);
  await run('mount', '-t', 'ext4', device, MOUNT);
  step('mounted');
  const writers = WRITERS.map((writer) => {
    writeFileSync(notesOf(writer), '');
    return spawn(process.execPath, [WRITER, fileOf(writer), notesOf(writer)], { stdio: 'inherit' });
  });
  await untilWriting(60_000);
  await pair.until('a', 'the record has both', ({ peerDisk }) => peerDisk === 'UpToDate');

  step('the standby is held');
  pair.signal('b', 'SIGSTOP');
  await systemClock.sleep(1_000);
  const before = progress();
  await systemClock.sleep(HELD_MS);
  const answeredWhileHeld = progress() - before;
  pair.signal('b', 'SIGCONT');
  const afterHeldMs = await untilWriting(60_000);
  step(`held: ${answeredWhileHeld}, then ${afterHeldMs} ms`);

  const primaryKills = await times(KILLS, async () => {
    await systemClock.sleep(BETWEEN_MS);
    await pair.kill('a');
    const fromMs = systemClock.nowMs();
    await pair.start('a', true);
    const view = await pair.until('a', 'it serves again', ({ serving, client }) => serving && client);
    const servesMs = Math.round(systemClock.nowMs() - fromMs);
    await untilWriting(120_000);
    const pauseMs = Math.round(systemClock.nowMs() - fromMs);
    step(`primary killed: serves after ${servesMs} ms, written again after ${pauseMs} ms`);
    return { servesMs, pauseMs, device: view.kernelDevice };
  });
  const standbyKills = await times(1, async () => {
    await systemClock.sleep(BETWEEN_MS);
    await pair.kill('b');
    const fromMs = systemClock.nowMs();
    const aloneMs = await untilWriting(60_000);
    await pair.start('b', false);
    await pair.until('a', 'the standby is in sync', ({ connection, peerDisk }) => connection === 'connected' && peerDisk === 'UpToDate');
    await untilWriting(60_000);
    step(`standby killed: alone after ${aloneMs} ms, in sync after ${Math.round(systemClock.nowMs() - fromMs)} ms`);
    return { aloneMs, inSyncMs: Math.round(systemClock.nowMs() - fromMs) };
  });

  const exits = await Promise.all(writers.map(ended));
  step('writers ended');
  const refused = await pair.order('a', { do: 'detach' }).then(
    () => null,
    (error: unknown) => String(error),
  );
  await run('umount', MOUNT);
  const fsck = await said('e2fsck', '-f', '-n', device);
  await run('mount', '-t', 'ext4', '-o', 'ro', device, MOUNT);
  const lost = lostIn(MOUNT);
  await run('umount', MOUNT);
  step('checked');
  await pair.order('a', { do: 'detach' });
  await pair.order('a', { do: 'demote' });
  const equal = await said('cmp', pair.image('a'), pair.image('b'));
  const standbyFsck = await said('e2fsck', '-f', '-n', pair.image('b'));
  await run('mount', '-t', 'ext4', '-o', 'loop,ro', pair.image('b'), MOUNT);
  const standbyLost = lostIn(MOUNT);
  await run('umount', MOUNT);
  return {
    device,
    sizeBytes,
    answeredWhileHeld,
    afterHeldMs,
    primaryKills,
    standbyKills,
    exits,
    errors: WRITERS.flatMap((writer) => noted(writer).filter((note) => note.startsWith('error'))),
    lines: WRITERS.map((writer) => noted(writer).length),
    refused,
    fsck,
    lost,
    equal,
    standbyFsck,
    standbyLost,
  };
};

const times = async <T>(count: number, once: () => Promise<T>): Promise<readonly T[]> => {
  const seen: T[] = [];
  while (seen.length < count) seen.push(await once());
  return seen;
};

const ended = (writer: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    if (writer.exitCode !== null) return resolve(writer.exitCode);
    writer.once('exit', resolve);
    writer.kill('SIGTERM');
    return undefined;
  });

rmSync(findingsFile, { force: true });
try {
  writeFileSync(findingsFile, JSON.stringify(await drill(), null, 1));
} catch (error) {
  console.log(
    error,
    JSON.stringify(await pair.view('a')),
    '\n--- a\n',
    pair.log('a'),
    '\n--- b\n',
    pair.log('b'),
    '\n---\n',
    (await said('dmesg')).output.slice(-4_000),
  );
  process.exitCode = 1;
}
for (const node of ['a', 'b'] as const) writeFileSync(`${findingsFile}-${node}.log`, pair.log(node));
await pair.end();
process.exit();
