// The netns substrate for real: packets, cuts, power, watchdog, observer and probe. Needs root; .ci/run fails without it.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { cleanLab, takeDown } from '../../core/lab/client.js';
import { pidsWithMark } from '../../core/lab/host-processes.js';
import { runProcess, startProcess, tool } from '../../core/lab/lab-process.js';
import { cgroupRoot, namespacesOf, netnsObstacle } from '../../core/lab/netns-cleanup.js';
import { NetnsSubstrate } from '../../core/lab/netns-substrate.js';
import { Observer } from '../../core/lab/observer.js';
import { startProbe } from '../../core/lab/probe.js';
import { startLab } from '../../core/lab/start.js';
import { planTopology } from '../../core/lab/topology.js';
import { type Bite, startWatchdogs } from '../../core/lab/watchdogs.js';

const obstacle = netnsObstacle();
if (obstacle !== null && process.env['CI']) throw new Error(`this suite cannot run in CI: ${obstacle}`);
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const COUNTER = fileURLToPath(new URL('../../core/lab/app/counter.js', import.meta.url));
const VIP = '192.168.0.10';
const id = `t${randomBytes(3).toString('hex')}`;
const topology = planTopology({ id, kind: 'netns', nodes: ['a', 'b'] });
const lab = new NetnsSubstrate(topology);
const log = join(topology.directory, 'test.log');

const UDP_ECHO = `const s=require('dgram').createSocket('udp4');s.on('message',(m,r)=>s.send(m,r.port,r.address));s.bind(5000,process.argv[1])`;
const UDP_ASK = `const s=require('dgram').createSocket('udp4');let n=0;s.on('message',()=>n++);let i=0;const t=setInterval(()=>{s.send('x',5000,process.argv[1]);if(++i===10){clearInterval(t);setTimeout(()=>{console.log(n);process.exit()},300)}},10)`;

/** How many of ten datagrams from a to b on this address are answered. */
const answersOf = async (address: string): Promise<number> => {
  const done = await runProcess(lab.inHost('a', [process.execPath, '-e', UDP_ASK, address]), 10_000);
  return Number(done.stdout);
};
const until = async (what: string, limitMs: number, done: () => boolean | Promise<boolean>): Promise<void> => {
  for (let waited = 0; !(await done()); waited += 20) {
    if (waited > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await delay(20);
  }
};

anyTest.serial.before(async () => {
  if (obstacle !== null) return;
  await lab.up();
  for (const { node } of topology.hosts) await lab.powerOn(node);
});
const ID = `u${randomBytes(3).toString('hex')}`;
anyTest.serial.after.always(async () => {
  if (obstacle === null) await lab.down();
  if (obstacle === null) cleanLab(ID);
});

test('hosts reach each other on every network', async (t) => {
  const addresses = topology.hosts[1]?.addresses ?? t.fail();
  if (typeof addresses === 'boolean') return;
  for (const address of Object.values(addresses)) {
    const echo = startProcess(lab.inHost('b', [process.execPath, '-e', UDP_ECHO, address]), { logFile: log });
    await delay(150);
    t.is(await answersOf(address), 10, address);
    echo.kill('SIGKILL');
    await echo.exited;
  }
});

test('cuts: one network one way, the others untouched; heal brings it back', async (t) => {
  const target = topology.hosts[1]?.addresses;
  const echoes = [target?.['heartbeat-1'] ?? '', target?.['heartbeat-2'] ?? ''].map((address) =>
    startProcess(lab.inHost('b', [process.execPath, '-e', UDP_ECHO, address]), { logFile: log }),
  );
  await delay(150);
  for (const cut of [
    { node: 'a', network: 'heartbeat-1', direction: 'in' },
    { node: 'a', network: 'heartbeat-1', direction: 'out' },
    { node: 'b', network: 'heartbeat-1', direction: 'both' },
  ] as const) {
    await lab.cut(cut);
    t.is(await answersOf(target?.['heartbeat-1'] ?? ''), 0, `${cut.node} ${cut.direction}`);
    t.is(await answersOf(target?.['heartbeat-2'] ?? ''), 10);
    await lab.heal('a');
    await lab.heal('b', 'heartbeat-1');
    // Neighbours that could not be found are asked for again after a second.
    await until('healed', 3000, async () => (await answersOf(target?.['heartbeat-1'] ?? '')) === 10);
  }
  await lab.cut({ node: 'b', network: 'all', direction: 'both' });
  t.is(await answersOf(target?.['heartbeat-2'] ?? ''), 0);
  await lab.powerOff('b');
  await lab.powerOn('b');
  t.is(lab.cuts.length, 1, 'a cut outlives the power of the host');
  t.is(await answersOf(target?.service ?? ''), 0);
  await lab.heal();
  t.deepEqual(lab.cuts, []);
  for (const echo of echoes) echo.kill('SIGKILL');
  await Promise.all(echoes.map((echo) => echo.exited));
});

test('the router decides who has the floating address, and a blackhole stays silent', async (t) => {
  const started = topology.hosts.map(({ node }) => {
    tool(['ip', '-n', `us-${id}-${node}`, 'addr', 'add', `${VIP}/32`, 'dev', 'eth0']);
    const app = lab.inHost(node, [process.execPath, COUNTER, `${VIP}:8080`]);
    return startProcess({ ...app, env: { ...app.env, UNDERSTUDY_NODE: node } }, { logFile: log });
  });
  const probe = startProbe(lab, { kind: 'http', address: VIP, port: 8080, everyMs: 5, forMs: 30_000, noteGapMs: 150 }, log);
  await delay(300);
  t.is(probe.report?.answered ?? 0, 0, 'no route yet');
  await lab.route(VIP, 'a');
  t.is(await probe.first(5000), 'a');
  await lab.route(VIP, 'b');
  await delay(500);
  await lab.route(VIP, null);
  await delay(400);
  await lab.route(VIP, 'a');
  await delay(600);
  const report = await probe.stop();
  t.true((report.answersByNode['a'] ?? 0) > 20 && (report.answersByNode['b'] ?? 0) > 20, JSON.stringify(report.answersByNode));
  t.true(report.longestGapMs >= 350 && report.longestGapMs < 1500, `longest gap ${report.longestGapMs}`);
  t.is(report.lastNode, 'a');
  const facts = await lab.facts('a');
  t.deepEqual(facts.addresses, [VIP]);
  t.true(facts.pids.length >= 1);
  for (const { node } of topology.hosts) await lab.deleteAddress(node, VIP);
  t.deepEqual((await lab.facts('a')).addresses, []);
  for (const app of started) app.kill('SIGKILL');
  await Promise.all(started.map((app) => app.exited));
});

test('an IPv6 address floats alike', async (t) => {
  const floating = 'fd99::10';
  const started = topology.hosts.map(({ node }) => {
    tool(['ip', '-n', `us-${id}-${node}`, 'addr', 'add', `${floating}/128`, 'dev', 'lo', 'nodad']);
    const app = lab.inHost(node, [process.execPath, COUNTER, `${floating}:8080`]);
    return startProcess({ ...app, env: { ...app.env, UNDERSTUDY_NODE: node } }, { logFile: log });
  });
  const probe = startProbe(lab, { kind: 'udp', address: floating, port: 8080, everyMs: 5, forMs: 30_000, noteGapMs: 150 }, log);
  await lab.route(floating, null);
  await delay(200);
  t.is(probe.report?.answered ?? 0, 0);
  await lab.route(floating, 'b');
  t.is(await probe.first(5000), 'b');
  await lab.route(floating, 'a');
  await until('answers of a', 3000, () => (probe.report?.answersByNode['a'] ?? 0) > 10);
  await lab.route(floating, null);
  await probe.stop();
  for (const app of started) app.kill('SIGKILL');
  await Promise.all(started.map((app) => app.exited));
  for (const { node } of topology.hosts) await lab.deleteAddress(node, floating);
});

test('power-off ends everything at one moment, without a farewell; power-on is another boot', async (t) => {
  const host = topology.hosts[0];
  const salt = () => readFileSync(join(host?.runDir ?? '', 'boot-salt'), 'utf8');
  const before = salt();
  const stubborn = startProcess(lab.inHost('a', ['/bin/sh', '-c', 'trap "" TERM; (setsid sleep 1000 &); sleep 1000']), { logFile: log });
  // A peer that holds a connection must hear nothing: neither FIN nor RST.
  const server = startProcess(
    lab.inHost('a', [process.execPath, '-e', `require('net').createServer(s=>s.on('error',()=>0)).listen(7000,'10.10.1.1')`]),
    { logFile: log },
  );
  await delay(500);
  const listener = runProcess(
    lab.inHost('b', [
      process.execPath,
      '-e',
      `let r='never';const s=require('net').connect(7000,'10.10.1.1',()=>{r='silent'});s.on('close',()=>r+=' closed');s.on('error',e=>r+=' '+e.code);setTimeout(()=>{console.log(r);process.exit()},1500)`,
    ]),
    10_000,
  );
  await delay(600);
  const beganMs = Number(process.hrtime.bigint()) / 1e6;
  const stoodMs = await lab.powerOff('a');
  t.true(stoodMs - beganMs < 100, `stood still after ${stoodMs - beganMs} ms`);
  await Promise.all([stubborn.exited, server.exited]);
  t.false(lab.isOn('a'));
  t.false(existsSync(host?.runDir ?? ''));
  t.deepEqual(pidsWithMark(`UNDERSTUDY_LAB_HOST=${id}/a`), []);
  t.is((await listener).stdout.trim(), 'silent');
  t.is(t.throws(() => lab.inHost('a', ['true'])).message, 'could not run true on a: the host is off');
  await lab.powerOn('a');
  t.not(salt(), before);
});

test('pause and resume: SIGSTOP reaches every process of the host and no other', async (t) => {
  const states = (node: string) =>
    lab.facts(node).then(({ pids }) => pids.map((pid) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.[0]));
  const processes = ['a', 'b'].map((node) =>
    startProcess(lab.inHost(node, ['/bin/sh', '-c', 'sleep 1000 & sleep 1000']), { logFile: log }),
  );
  await delay(200);
  await lab.pause('a');
  await delay(50);
  t.deepEqual([...new Set(await states('a'))], ['T']);
  t.false((await states('b')).includes('T'));
  await lab.resume('a');
  await delay(50);
  t.false((await states('a')).includes('T'));
  for (const each of processes) each.kill('SIGKILL');
  await Promise.all(processes.map((each) => each.exited));
});

test('the watchdog bites a host that no longer pets it, punctually, though the connection was closed', async (t) => {
  const bites: Bite[] = [];
  const socket = (node: string) => join(topology.directory, 'dog', `${node}.sock`);
  const hosts = topology.hosts.map(({ node }) => ({ node, socket: socket(node), handle: lab.handle(node) }));
  const dogs = await startWatchdogs(
    id,
    hosts,
    log,
    (bite) => bites.push(bite),
    (why) => t.fail(why),
  );
  const talk = async (node: string, ...lines: object[]): Promise<unknown[]> => {
    const connection = createConnection(socket(node));
    const answers: unknown[] = [];
    const reader = createInterface({ input: connection });
    for (const line of lines) {
      connection.write(`${JSON.stringify(line)}\n`);
      answers.push(JSON.parse((await reader[Symbol.asyncIterator]().next()).value as string));
    }
    connection.destroy();
    return answers;
  };
  const victim = startProcess(lab.inHost('a', ['sleep', '1000']), { logFile: log });
  t.deepEqual(await talk('a', { arm: 500 }), [{ armed: 500 }]);
  const armedMs = Number(process.hrtime.bigint()) / 1e6;
  t.deepEqual(await talk('b', { arm: 400 }), [{ armed: 400 }]);
  t.deepEqual(await talk('b', { disarm: true }), [{ disarmed: true }]);
  await until('the bite', 3000, () => bites.length > 0);
  const [bite] = bites;
  t.is(bite?.node, 'a');
  t.true((bite?.atMs ?? 0) - armedMs > 480 && (bite?.lateMs ?? 999) < 100, `late by ${bite?.lateMs} ms`);
  t.is(await victim.exited, null);
  t.deepEqual(await lab.facts('a').then(({ pids }) => pids), []);
  await lab.powerOff('a');
  await lab.powerOn('a');
  await delay(500);
  t.is(bites.length, 1, 'b was disarmed, and a is another boot');
  await dogs.stop();
});

test('the observer sees who has what, and two at once', async (t) => {
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
  const start = (node: string) => {
    tool(['ip', '-n', `us-${id}-${node}`, 'addr', 'add', `${VIP}/32`, 'dev', 'eth0']);
    const app = lab.inHost(node, [process.execPath, COUNTER, `${VIP}:8080`]);
    return startProcess({ ...app, env: { ...app.env, UNDERSTUDY_NODE: node, UNDERSTUDY_RESOURCE: 'web/app' } }, { logFile: log });
  };
  const inA = start('a');
  const holders = () => observer.report.holders;
  await until('a has both', 3000, () => holders()['application web/app']?.join() === 'a' && holders()[`address ${VIP}`]?.join() === 'a');
  await lab.powerOff('a');
  observer.addresses('a', null);
  await inA.exited;
  await until('nobody has', 3000, () => holders()['application web/app']?.length === 0 && holders()[`address ${VIP}`]?.length === 0);
  t.deepEqual(observer.report.overlaps, []);
  const inB = start('b');
  await until('b has both', 3000, () => holders()['application web/app']?.join() === 'b');
  await lab.powerOn('a');
  observer.addresses('a', lab.addressSource('a'));
  const again = start('a');
  await until('two have both', 3000, () => observer.report.overlaps.length === 2);
  t.deepEqual(observer.report.overlaps.map(({ thing, nodes }) => `${thing}: ${nodes.join(' ')}`).toSorted(), [
    `address ${VIP}: a b`,
    'application web/app: a b',
  ]);
  for (const each of [inB, again]) each.kill('SIGKILL');
  await until('sweeps are told', 3000, () => observer.report.sweeps > 20);
  await observer.stop();
});

test('down leaves nothing: no process, namespace, cable, cgroup; twice is once', async (t) => {
  startProcess(lab.inHost('b', ['/bin/sh', '-c', 'setsid sleep 1000 & setsid sleep 1000']), { logFile: log });
  await lab.down();
  await lab.down();
  t.deepEqual(namespacesOf(id), []);
  t.deepEqual(pidsWithMark(`UNDERSTUDY_LAB=${id}`), []);
  t.false(existsSync(join(cgroupRoot() ?? '', `understudy-lab-${id}`)));
  t.deepEqual(
    readdirSync('/sys/class/net').filter((name) => name.startsWith('svc')),
    [],
  );
  t.false(existsSync(topology.directory));
});

const REPLACE_ROUTE = `
import { EC2Client, ReplaceRouteCommand } from '@aws-sdk/client-ec2';
const [endpoint, table, eni] = process.argv.slice(1);
const ec2 = new EC2Client({ region: 'ap-northeast-2', endpoint, credentials: { accessKeyId: 'lab', secretAccessKey: 'lab' } });
await ec2.send(new ReplaceRouteCommand({ RouteTableId: table, DestinationCidrBlock: '${VIP}/32', NetworkInterfaceId: eni }));`;

test('the whole lab: a route replaced by the cloud’s real client re-routes real packets, and the source/destination check drops them', async (t) => {
  const client = await startLab({
    id: ID,
    substrate: 'netns',
    nodes: ['a', 'b'],
    options: { takeover: 'lease', confirm: 'none', timing: 'lan', bare: true },
  });
  const on = (node: string, ...argv: string[]) => client.ask({ op: 'exec', node, argv, timeoutMs: 15_000 });
  const { config } = await client.ask({ op: 'status' });
  const endpoint = /endpoint: (http\S+)/.exec(readFileSync(config, 'utf8'))?.[1] ?? '';
  for (const node of ['a', 'b']) {
    tool(['ip', '-n', `us-${ID}-${node}`, 'addr', 'add', `${VIP}/32`, 'dev', 'lo']);
    await on(node, 'sh', '-c', `UNDERSTUDY_NODE=${node} setsid ${process.execPath} ${COUNTER} ${VIP}:8080 >/dev/null 2>&1 &`);
  }
  const seen = { node: '', answered: 0 };
  const probing = client.ask(
    { op: 'probe', plan: { kind: 'udp', port: 8080, everyMs: 5, forMs: 60_000, noteGapMs: 10_000 } },
    90_000,
    (message) => {
      if (message.t === 'tally') Object.assign(seen, { node: message.report.lastNode ?? '', answered: message.report.answered });
    },
  );
  const silent = async (): Promise<boolean> => {
    const before = seen.answered;
    await delay(700);
    return seen.answered === before;
  };
  await until('a answers', 5000, () => seen.node === 'a');
  const moved = await on('a', process.execPath, '--input-type=module', '-e', REPLACE_ROUTE, endpoint, 'rtb-lab-1', 'eni-lab-b');
  t.is(moved.exitCode, 0, moved.stderr);
  await until('b answers', 5000, () => seen.node === 'b');
  await client.ask({ op: 'fault', words: ['ec2', 'source-dest-check', 'b', 'on'] });
  await until('the check drops', 5000, silent);
  await client.ask({ op: 'fault', words: ['ec2', 'source-dest-check', 'b', 'off'] });
  await until('packets again', 5000, async () => !(await silent()));
  t.regex(await client.ask({ op: 'fault', words: ['cut', 'b', 'service', 'in'] }), /cut off service/);
  await until('the cut drops', 5000, silent);
  await client.ask({ op: 'end-probe' });
  t.is((await probing).t, 'end');
  client.close();
  t.is(await takeDown(ID), 'ordered');
  t.deepEqual(namespacesOf(ID), []);
});
