// The kernel's own NBD client on the mirror, in a small emulated machine with a Debian kernel: mkfs, two applications that fsync
// every line, a standby that is held, mirror processes that are killed under them, fsck. The drill runs once; each test looks at
// one thing it saw. Real kernel, real file system, real processes; the pair lies in one machine.
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import type { KernelFindings } from '../support/guest/findings.js';
import { type GuestRun, guestObstacle, runInGuest } from '../support/guest/guest.js';

const obstacle = guestObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: no emulated guest (${obstacle})`, (t) => t.pass());

const DRILL = fileURLToPath(new URL('../support/guest/mirror-drill.js', import.meta.url));
const LIMIT_MS = 480_000;
let guest: GuestRun;
let found: KernelFindings | null = null;
const seen = (): KernelFindings => {
  if (found === null) throw new Error('the drill did not run to its end');
  return found;
};

test('the drill runs to its end: mkfs, mount, writes, restarts, umount', async (t) => {
  t.timeout(LIMIT_MS + 30_000);
  guest = await runInGuest([process.execPath, DRILL, '/run/share/findings'], { limitMs: LIMIT_MS, files: ['findings'] });
  t.log(guest.release, guest.output);
  t.log(
    guest.dmesg
      .split('\n')
      .filter((line) => /nbd|ext4|I\/O|error/i.test(line))
      .join('\n'),
  );
  t.is(guest.exitCode, 0, guest.console.slice(-4_000));
  found = JSON.parse(guest.left['findings'] ?? '') as KernelFindings;
  t.is(seen().sizeBytes, 192 * 1024 * 1024);
});

test('the standby does not answer for 35 s: the application waits, then goes on', (t) => {
  t.is(seen().answeredWhileHeld, 0);
  t.true(seen().afterHeldMs < 30_000, String(seen().afterHeldMs));
});

test('the primary’s mirror process is killed with writes under way: the next one takes the same device up by itself', (t) => {
  t.is(seen().primaryKills.length, 3);
  for (const { device } of seen().primaryKills) t.is(device, seen().device);
  // By itself the driver sends again after 30 s what it had sent to a dead process.
  for (const { servesMs, pauseMs } of seen().primaryKills)
    t.true(pauseMs < servesMs + 15_000, `${pauseMs} ms, served after ${servesMs} ms`);
});

test('the standby’s mirror process is killed with writes under way: written on alone, and in sync again', (t) => {
  t.is(seen().standbyKills.length, 1);
});

test('no application saw an error', (t) => {
  t.deepEqual(seen().errors, []);
  t.deepEqual(seen().exits, [0, 0]);
});

test('afterwards: the file system is clean, every fsynced line is there', (t) => {
  t.is(seen().fsck.exitCode, 0, seen().fsck.output);
  t.deepEqual(seen().lost, []);
  for (const lines of seen().lines) t.true(lines > 100, String(lines));
});

test('a detach under a mounted file system is refused', (t) => {
  t.regex(seen().refused ?? '', /mounted or held/);
});

test('the standby’s copy is equal: the same file system, the same lines', (t) => {
  t.is(seen().equal.exitCode, 0, seen().equal.output);
  t.is(seen().standbyFsck.exitCode, 0, seen().standbyFsck.output);
  t.deepEqual(seen().standbyLost, []);
});

test('the kernel reported no error of the device', (t) => {
  t.deepEqual(
    guest.dmesg.split('\n').filter((line) => /I\/O error|EXT4-fs error|Buffer I\/O|Aborting journal|Remounting/.test(line)),
    [],
  );
});
