// The addresses of real interfaces: two namespaces joined by a veth pair, one of them ours, the other a neighbour.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import test from 'ava';

const root = process.geteuid?.() === 0;
const ours = `agents-o-${process.pid}`;
const theirs = `agents-t-${process.pid}`;
const TOOL = new URL('../support/address-tool.js', import.meta.url).pathname;
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', timeout: 10_000 });
const inside = (namespace: string, ...argv: string[]) => ip('netns', 'exec', namespace, ...argv);
const tool = (...args: string[]) => inside(ours, process.execPath, TOOL, ...args).trim();
const macOf = (namespace: string, device: string) => /link\/ether (\S+)/.exec(ip('-n', namespace, 'link', 'show', device))?.[1];
const neighbour = (address: string) => /lladdr (\S+)/.exec(ip('-n', theirs, 'neigh', 'show', address))?.[1];

const withRoot = root ? test.serial : (title: string, _run: unknown) => test.serial(title, (t) => (t.log('skipped: needs root'), t.pass()));

/** The kernel takes up to a second to see that the other end of a pair is up; till then IPv6 has no route for what is sent to all. */
const ready = async (namespace: string) => {
  const endMs = performance.now() + 10_000;
  while (!ip('-n', namespace, '-6', 'route', 'show', 'table', 'local').includes('ff00::/8')) {
    if (performance.now() > endMs) throw new Error(`${namespace}: IPv6 of eth0 is not ready after 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

test.before(async () => {
  if (!root) return;
  for (const name of [ours, theirs]) ip('netns', 'add', name);
  ip('link', 'add', 'eth0', 'netns', ours, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', theirs);
  ip('-n', ours, 'address', 'add', '10.77.0.1/24', 'dev', 'eth0');
  ip('-n', theirs, 'address', 'add', '10.77.0.2/24', 'dev', 'eth0');
  ip('-n', theirs, 'address', 'add', 'fd77::2/64', 'dev', 'eth0', 'nodad');
  for (const name of [ours, theirs]) for (const device of ['lo', 'eth0']) ip('-n', name, 'link', 'set', device, 'up');
  for (const name of [ours, theirs]) await ready(name);
});
test.after.always(() => {
  if (root) for (const name of [ours, theirs]) ip('netns', 'delete', name);
});

withRoot('add and remove: idempotent, with label, also on an interface that is down', (t) => {
  tool('add', 'eth0', '10.77.0.9', '32', 'vip');
  tool('add', 'eth0', '10.77.0.9', '32', 'vip');
  tool('add', 'eth0', 'fd77::9', '128');
  const found = JSON.parse(tool('list')) as { address: string; label: string | null; prefixLength: number; interface: string }[];
  t.deepEqual(
    found.filter(({ address }) => address === '10.77.0.9'),
    [{ interface: 'eth0', address: '10.77.0.9', prefixLength: 32, label: 'eth0:vip' }],
  );
  t.is(found.filter(({ address }) => address === 'fd77::9').length, 1);
  t.notRegex(ip('-n', ours, 'address', 'show', 'dev', 'eth0'), /fd77::9.*tentative/, 'it serves at once');
  tool('remove', '-', 'FD77:0::9');
  tool('remove', '-', '10.77.0.9');
  tool('remove', '-', '10.77.0.9');
  t.notRegex(ip('-n', ours, 'address'), /10\.77\.0\.9|fd77::9/);

  ip('-n', ours, 'link', 'add', 'down0', 'type', 'veth', 'peer', 'name', 'down1');
  ip('-n', ours, 'address', 'add', '10.77.0.9/24', 'dev', 'down0');
  tool('remove', '-', '10.77.0.9');
  t.notRegex(ip('-n', ours, 'address'), /10\.77\.0\.9/);
});

withRoot('announce: a neighbour that knew another owner learns the new one, IPv4 and IPv6', (t) => {
  for (const address of ['10.77.0.9', 'fd77::9']) {
    ip('-n', theirs, 'neigh', 'replace', address, 'lladdr', '02:00:00:00:00:99', 'dev', 'eth0', 'nud', 'stale');
    tool('add', 'eth0', address, address.includes(':') ? '64' : '24');
    t.is(neighbour(address), '02:00:00:00:00:99');
    tool('announce', 'eth0', address, '1');
    t.is(neighbour(address), macOf(ours, 'eth0'), address);
    tool('remove', '-', address);
  }
  t.notThrows(() => tool('announce', 'lo', '10.77.0.9', '1'));
});

withRoot('owner: another host that has the address is named; nobody, and we ourselves, are not', (t) => {
  t.is(tool('owner', 'eth0', '10.77.0.2', '2000'), JSON.stringify(macOf(theirs, 'eth0')));
  t.is(tool('owner', 'eth0', '10.77.0.8', '100'), 'null');
  t.is(tool('owner', 'eth0', '10.77.0.1', '100'), 'null');
});

withRoot('watch: a change by another hand is told at once; its child ends with the last watcher', async (t) => {
  const watcher = spawn('ip', ['netns', 'exec', ours, process.execPath, TOOL, 'watch'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: watcher.stdout })[Symbol.asyncIterator]();
  const next = async () => ((await lines.next()).value as string | undefined) ?? '';
  t.is(await next(), '{"changes":0}');
  t.teardown(() => watcher.kill('SIGKILL'));
  const commandOf = (pid: string) => (existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'latin1') : '');
  const monitors = () =>
    ip('netns', 'pids', ours)
      .split('\n')
      .filter((pid) => pid !== '' && commandOf(pid).startsWith('ip\0-o\0monitor')).length;
  const settled = async (count: number) => {
    for (const endMs = performance.now() + 10_000; monitors() !== count && performance.now() < endMs; )
      await new Promise((resolve) => setTimeout(resolve, 20));
    return monitors();
  };
  t.is(await settled(1), 1);
  // The child is there a little before it listens: change until it is told.
  const told = next();
  const again = setInterval(() => {
    ip('-n', ours, 'address', 'replace', '10.77.0.7/32', 'dev', 'lo');
    ip('-n', ours, 'address', 'del', '10.77.0.7/32', 'dev', 'lo');
  }, 100);
  t.teardown(() => clearInterval(again));
  t.regex(await told, /"changes":\d/);
  clearInterval(again);
  watcher.stdin.write('end\n');
  t.is(await new Promise((resolve) => watcher.once('exit', resolve)), 0);
  // Killed at once, gone a moment later.
  t.is(await settled(0), 0);
});
