// The loopback substrate for real, without root: forwarding by the routes, power, pause, watchdog, observer, and what it
// refuses. Real processes on 127.0.0.0/8.
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { forwardTo } from '../../core/lab/forwarding.js';
import { pidsWithMark, processState } from '../../core/lab/host-processes.js';
import { type LabProcess, startProcess } from '../../core/lab/lab-process.js';
import { LoopbackSubstrate } from '../../core/lab/loopback-substrate.js';
import { Observer } from '../../core/lab/observer.js';
import { startProbe } from '../../core/lab/probe.js';
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
    const probe = startProbe(lab, { kind, address: clientAddress(topology, VIP), port: 8080, everyMs: 5, forMs: 20_000, noteGapMs: 100 }, log);
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
  const dogs = await startWatchdogs(id, topology.hosts.map(({ node }) => ({ node, socket: dogSocket(topology, node), handle: lab.handle(node) })), log, (bite) => bites.push(bite), (why) => t.fail(why));
  const observer = new Observer(id, { hosts: topology.hosts.map(({ node }) => ({ node, handle: lab.handle(node) })), floating: [VIP], everyMs: 20, application: 'lab/app/' }, log);
  for (const { node } of topology.hosts) observer.addresses(node, lab.addressSource(node));
  const app = startApp('a');
  addressOn('a');
  const holders = () => observer.report.holders;
  await until('a has both', 5000, () => holders()['application web/app']?.join() === 'a' && holders()[`address ${VIP}`]?.join() === 'a');
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
