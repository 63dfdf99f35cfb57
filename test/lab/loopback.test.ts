// The loopback substrate for real, without root: forwarding by the routes, power, pause, watchdog, observer, and what it
// refuses. Real processes on 127.0.0.0/8.
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { cleanLab, findLabs, LabClient, takeDown } from '../../core/lab/client.js';
import { forwardTo } from '../../core/lab/forwarding.js';
import { pidsWithMark, processState } from '../../core/lab/host-processes.js';
import { type LabProcess, startProcess } from '../../core/lab/lab-process.js';
import { LoopbackSubstrate } from '../../core/lab/loopback-substrate.js';
import { Observer } from '../../core/lab/observer.js';
import { startProbe } from '../../core/lab/probe.js';
import { startLab } from '../../core/lab/start.js';
import { addressTable, clientAddress, dogSocket, planTopology } from '../../core/lab/topology.js';
import { type Bite, startWatchdogs } from '../../core/lab/watchdogs.js';

const test = (process.platform === 'linux' ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
const COUNTER = fileURLToPath(new URL('../../core/lab/app/counter.js', import.meta.url));
const VIP = '192.168.0.10';
const base = mkdtempSync(join(tmpdir(), 'understudy-test-'));
const id = `t${randomBytes(3).toString('hex')}`;
const topology = planTopology({ id, kind: 'loopback', number: randomInt(100, 255), nodes: ['a', 'b'], base });
const lab = new LoopbackSubstrate(topology);
const log = join(base, 'test.log');
/** The lab of the tests at the end, which has a daemon. */
const ID = `d${randomBytes(3).toString('hex')}`;

const until = async (what: string, limitMs: number, done: () => boolean): Promise<void> => {
  for (let waited = 0; !done(); waited += 10) {
    if (waited > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await delay(10);
  }
};
const addressOn = (node: string): void => writeFileSync(addressTable(topology, node), `lo ${VIP} 32\n`);
const startApp = (node: string): LabProcess => {
  const app = lab.inHost(node, [process.execPath, COUNTER, `${topology.hosts.find((host) => host.node === node)?.addresses.service}:8080`]);
  return startProcess({ ...app, env: { ...app.env, UNDERSTUDY_NODE: node, UNDERSTUDY_RESOURCE: 'web/app' } }, { logFile: log });
};

anyTest.serial.before(async () => {
  await lab.up();
  for (const { node } of topology.hosts) await lab.powerOn(node);
});
anyTest.serial.after.always(async () => {
  await lab.down();
  cleanLab(ID, base);
  rmSync(base, { recursive: true, force: true });
});

test('forwarding: a packet needs a route, power, and an OS that has the address', (t) => {
  const host = (node: string, power: boolean, table: string) => ({ node, power, table, address: `127.9.0.${node}` });
  const table = `lo ${VIP} 32\n`;
  const to = (route: string | null, ...hosts: ReturnType<typeof host>[]) => forwardTo(VIP, route, hosts)?.node ?? null;
  t.is(to('a', host('a', true, table), host('b', true, table)), 'a');
  t.is(to(null, host('a', true, table)), null);
  t.is(to('c', host('a', true, table)), null);
  t.is(to('a', host('a', false, table)), null);
  t.is(to('a', host('a', true, '')), null);
  t.is(to('a', host('a', true, `lo 192.168.0.1 32\nlo ${VIP}0 32\n`)), null);
});

for (const kind of ['http', 'udp'] as const)
  test(`the router follows the route (${kind}), and power ends a host without a farewell`, async (t) => {
    for (const { node } of topology.hosts) await lab.powerOn(node);
    const apps = topology.hosts.map(({ node }) => startApp(node));
    for (const { node } of topology.hosts) addressOn(node);
    await lab.route(VIP, null);
    const probe = startProbe(
      lab,
      { kind, address: clientAddress(topology, VIP), port: 8080, everyMs: 5, forMs: 20_000, noteGapMs: 100 },
      log,
    );
    await delay(200);
    t.is(probe.report?.answered ?? 0, 0, 'no route yet');
    await lab.route(VIP, 'a');
    t.is(await probe.first(5000), 'a');
    await until('answers of a', 3000, () => (probe.report?.answersByNode['a'] ?? 0) > 10);
    await lab.powerOff('a');
    t.is(await apps[0]?.exited, null);
    t.false(existsSync(addressTable(topology, 'a')));
    await delay(200);
    await lab.route(VIP, 'b');
    await until('answers of b', 5000, () => (probe.report?.answersByNode['b'] ?? 0) > 10);
    await lab.deleteAddress('b', VIP);
    const before = (await delay(300), probe.report?.answered);
    await delay(400);
    t.is(probe.report?.answered, before, 'the host has lost the address');
    const report = await probe.stop();
    t.true(report.longestGapMs >= 190 && report.longestGapMs < 3000, `${report.longestGapMs}`);
    apps[1]?.kill('SIGKILL');
    await apps[1]?.exited;
  });

test('pause stops every process of a host and no other; exec on a dead host is refused', async (t) => {
  await lab.powerOn('a');
  const [one, other] = [startApp('a'), startApp('b')];
  await lab.pause('a');
  await until('stopped', 1000, () => processState(one.pid) === 'T');
  t.not(processState(other.pid), 'T');
  await lab.resume('a');
  await until('going on', 1000, () => processState(one.pid) !== 'T');
  t.deepEqual((await lab.facts('a')).pids, [one.pid]);
  await lab.powerOff('a');
  t.deepEqual(pidsWithMark(`UNDERSTUDY_LAB_HOST=${id}/a`), []);
  t.regex(t.throws(() => lab.inHost('a', ['true'])).message, /the host is off/);
  other.kill('SIGKILL');
  await other.exited;
});

test('cuts are refused with the way to have them', async (t) => {
  const error = await t.throwsAsync(() => lab.cut({ node: 'a', network: 'heartbeat-1', direction: 'both' }), { code: 'LAB_FAILED' });
  t.is(error?.message, 'could not cut heartbeat-1 of a: network cuts need root and are shown in the netns substrate');
});

test('the watchdog bites by mark, and the observer sees it', async (t) => {
  await lab.powerOn('a');
  const bites: Bite[] = [];
  const dogs = await startWatchdogs(
    id,
    topology.hosts.map(({ node }) => ({ node, socket: dogSocket(topology, node), handle: lab.handle(node) })),
    log,
    (bite) => bites.push(bite),
    (why) => t.fail(why),
  );
  const observer = new Observer(
    id,
    {
      hosts: topology.hosts.map(({ node }) => ({ node, handle: lab.handle(node) })),
      floating: [VIP],
      everyMs: 20,
      application: 'lab/app/',
    },
    log,
  );
  for (const { node } of topology.hosts) observer.addresses(node, lab.addressSource(node));
  const app = startApp('a');
  addressOn('a');
  const holders = () => observer.report.holders;
  await until('a has both', 5000, () => holders()['application web/app']?.join() === 'a' && holders()[`address ${VIP}`]?.join() === 'a');
  // A guard killed with answers unread resets its connection: that is no news to the watchdog.
  const rude = createConnection(dogSocket(topology, 'b'));
  rude.write('{"pet":1}\n'.repeat(50));
  await delay(50);
  rude.destroy();
  const connection = createConnection(dogSocket(topology, 'a'));
  connection.write('{"arm":300}\n');
  const answer = await new Promise<string>((resolve) => connection.once('data', (data) => resolve(data.toString())));
  t.is(answer, '{"armed":300}\n');
  connection.destroy();
  await until('the bite', 3000, () => bites.length === 1);
  t.is(bites[0]?.node, 'a');
  t.is(await app.exited, null);
  await until('nobody has', 3000, () => holders()['application web/app']?.length === 0 && holders()[`address ${VIP}`]?.length === 0);
  await lab.powerOff('a');
  t.deepEqual(observer.report.overlaps, []);
  await observer.stop();
  await dogs.stop();
});

test('down leaves no process and no file', async (t) => {
  startProcess(lab.inHost('b', ['/bin/sh', '-c', 'setsid sleep 1000 & setsid sleep 1000']), { logFile: log });
  await delay(50);
  await lab.down();
  t.deepEqual(pidsWithMark(`UNDERSTUDY_LAB=${id}`), []);
  t.false(existsSync(topology.directory));
});

const start = (steps: string[] = [], signal?: AbortSignal): Promise<LabClient> =>
  startLab({
    id: ID,
    substrate: 'loopback',
    nodes: ['a', 'b'],
    options: { takeover: 'lease', confirm: 'none', timing: 'lan', bare: true },
    base,
    onStep: (text) => steps.push(text),
    ...(signal ? { signal } : {}),
  });
const leftovers = () => ({ pids: pidsWithMark(`UNDERSTUDY_LAB=${ID}`), labs: findLabs(base).filter((found) => found.id === ID) });

test('a lab as a daemon: up, orders, refusals, down', async (t) => {
  const steps: string[] = [];
  const client = await start(steps);
  t.is(steps[0], 'substrate loopback (asked for)');
  const status = await client.ask({ op: 'status' });
  t.deepEqual(
    status.hosts.map(({ node, power }) => `${node} ${power}`),
    ['a true', 'b true'],
  );
  t.true(existsSync(status.config));
  await t.throwsAsync(() => start(), { message: `lab ${ID} is up already` });
  t.is(await client.ask({ op: 'fault', words: ['power-off', 'a'] }), 'a is off');
  await t.throwsAsync(() => client.ask({ op: 'exec', node: 'a', argv: ['true'], timeoutMs: 5000 }), {
    message: 'could not run true on a: the host is off',
  });
  const hello = await client.ask({ op: 'exec', node: 'b', argv: ['sh', '-c', 'echo $UNDERSTUDY_LAB_HOST; exit 3'], timeoutMs: 5000 });
  t.deepEqual(hello, { exitCode: 3, stdout: `${ID}/b\n`, stderr: '' });
  const second = await LabClient.connect(ID, base);
  const end = await second.ask({ op: 'probe', plan: { kind: 'udp', port: 8080, everyMs: 5, forMs: 300, noteGapMs: 50 } });
  t.true(end.t === 'end' && end.report.sent > 20 && end.report.answered === 0);
  client.close();
  second.close();
  t.is(await takeDown(ID, base), 'ordered');
  t.deepEqual(leftovers(), { pids: [], labs: [] });
  await t.throwsAsync(() => takeDown(ID, base), { code: 'NOT_FOUND' });
});

test('a lab whose daemon was killed is stale: known as such, and cleaned up by down or by the next up', async (t) => {
  const kill = async (client: LabClient): Promise<void> => {
    const { pid } = await client.ask({ op: 'status' });
    client.close();
    process.kill(pid, 'SIGKILL');
    // A zombie's threads may hold its socket for a moment more.
    await until(
      'the end of all its threads',
      5000,
      () => processState(pid) === null || (processState(pid) === 'Z' && readdirSync(`/proc/${pid}/task`).length <= 1),
    );
  };
  await kill(await start());
  await t.throwsAsync(() => LabClient.connect(ID, base), { message: /is stale/ });
  t.true(pidsWithMark(`UNDERSTUDY_LAB=${ID}`).length > 0, 'the watchdog outlives the lab');
  const steps: string[] = [];
  const again = await start(steps);
  t.true(steps.some((step) => step.startsWith('cleaning up')));
  await kill(again);
  t.is(await takeDown(ID, base), 'cleaned');
  t.deepEqual(leftovers(), { pids: [], labs: [] });
});

test('a start that is interrupted leaves nothing', async (t) => {
  const abort = new AbortController();
  const starting = start([], abort.signal);
  await delay(150);
  abort.abort();
  await t.throwsAsync(() => starting, { message: /was interrupted/ });
  t.deepEqual(leftovers(), { pids: [], labs: [] });
});
