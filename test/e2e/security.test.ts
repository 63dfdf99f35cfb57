// Row 39 of the fault matrix: heartbeats captured on the wire of a running cluster are sent again later, changed, cut and
// signed by strangers, from the very address of the node that they name. Nothing changes hands, and every one is counted.
// Needs root, for the capture; .ci/run fails without it.
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';
import anyTest, { type TestFn } from 'ava';
import { runProcess } from '../../core/lab/lab-process.js';
import { createFrameCodec } from '../../core/membership/frame.js';
import { startCluster } from '../support/node-processes.js';
import { until } from '../support/until.js';

const root = process.getuid?.() === 0;
if (!root && process.env['CI']) throw new Error('this suite cannot run in CI: capturing needs root');
const test = (root ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (!root) anyTest('skipped: needs root (capture)', (t) => t.pass());

const PORT = 4470;
/** Prints the payloads of UDP datagrams from one address to another, one line of hex each, for so many seconds. */
const CAPTURE = `
import socket, sys, time
source, target, seconds = socket.inet_aton(sys.argv[1]), socket.inet_aton(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
s.bind(("lo", 0)); s.settimeout(0.2); end = time.monotonic() + seconds; seen = set()
while time.monotonic() < end:
    try: p = s.recv(4096)
    except TimeoutError: continue
    ip = p[14:]
    if ip[9] == 17 and ip[12:16] == source and ip[16:20] == target:
        body = ip[(ip[0] & 15) * 4 + 8:]
        if body not in seen: seen.add(body); print(body.hex())
`;

const capture = async (from: string, to: string, seconds: number): Promise<readonly Buffer[]> => {
  const { stdout } = await runProcess(
    { argv: ['python3', '-c', CAPTURE, from, to, String(seconds)], env: { PATH: '/usr/bin:/bin' } },
    (seconds + 10) * 1000,
  );
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => Buffer.from(line, 'hex'));
};

/** From the node's own address, as somebody on the same segment could: only the port is another. */
const resend = async (frames: readonly Buffer[], from: string, to: string): Promise<void> => {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind({ address: from, port: 0 }, resolve));
  for (const frame of frames) {
    await new Promise((resolve) => socket.send(frame, PORT, to, resolve));
    await delay(1);
  }
  await new Promise<void>((resolve) => socket.close(resolve));
};

test('row 39: captured heartbeats and STOPPED, replayed, flipped, cut and forged: dropped, counted, nothing changes', async (t) => {
  t.timeout(120_000);
  const cluster = await startCluster();
  t.teardown(() => cluster.stop());
  const { a, b } = cluster.nodes;
  a.on();
  b.on();
  await cluster.online('a');
  const [from, to] = [1, 2].map((host) => `127.${20 + (process.pid % 200)}.1.${host}`) as [string, string];
  await until('b is ready', async () => (await cluster.status('a'))?.groups[0]?.standbys[0]?.ready === true);

  // What a says while it holds epoch e, and, during a planned move, its nudge and its STOPPED(e).
  const recording = capture(from, to, 6);
  await delay(500);
  await a.api.order({ verb: 'switchover', group: 'g', to: 'b', by: 'test', why: 'to be recorded', wait: true, timeoutMs: 20_000 });
  const recorded = await recording;
  t.true(recorded.length > 50, `${recorded.length} frames were recorded`);
  t.true(
    recorded.some((frame) => frame.includes('"n","g"')),
    'the release is among them',
  );
  await cluster.online('b');
  const stateOf = async () => {
    const view = (await cluster.status('b'))!;
    return [view.groups[0]!.epoch, view.groups[0]!.active, view.groups[0]!.state];
  };
  const before = await stateOf();
  const calls = cluster.calls().length;
  const droppedBy = async (reason: string) => (await cluster.status('b'))?.dropped[reason] ?? 0;

  const flipped = recorded.map((frame) => {
    const copy = Buffer.from(frame);
    copy[randomBytes(2).readUInt16BE() % copy.length]! ^= 1 << (randomBytes(1)[0]! % 8);
    return copy;
  });
  const stranger = { id: recorded[0]!.readUInt16BE(6), bytes: randomBytes(32) };
  const forged = createFrameCodec({ cluster: 'test', self: 'a', peers: ['b'], keys: { current: stranger, all: [stranger] } }).encode({
    peer: 'b',
    bootId: 'f'.repeat(32),
    seq: 2 ** 50,
    network: 0,
    sentUs: 1,
    echo: null,
    challenge: 'c1'.repeat(16),
    answer: null,
    body: Buffer.from('["b","c",0,1,[["g",99,1,"v",0,1]]]'),
  });
  const attacks: [reason: string, frames: readonly Buffer[]][] = [
    ['replay', recorded],
    ['bad-tag', flipped],
    ['bad-tag', recorded.map((frame) => frame.subarray(0, -32)).filter((frame) => frame.length > 158)],
    ['too-short', recorded.map((frame) => frame.subarray(0, 126))],
    ['bad-tag', Array.from({ length: 20 }, () => Buffer.from(forged))],
    ['too-long', [Buffer.concat([recorded[0]!, Buffer.alloc(2000)])]],
  ];
  for (const [reason, frames] of attacks) {
    const counted = await droppedBy(reason);
    await resend(frames, from, to);
    await until(
      `the drops are counted as ${reason}`,
      async () => (await droppedBy(reason)) - counted >= Math.floor(frames.length * 0.8),
      5000,
    );
    t.deepEqual(await stateOf(), before, reason);
  }

  // The same to a process that has never heard of that boot: b's guard is new, and knows no window yet.
  const guard = b.pids()['guard'];
  b.kill('guard');
  await until('another guard', () => b.pids()['guard'] !== guard && b.pids()['guard'] != null);
  await resend(recorded, from, to);
  await until('it serves again', async () => (await cluster.status('b'))?.groups[0]?.active === 'b');
  await resend(recorded, from, to);
  await delay(1000);
  t.deepEqual(await stateOf(), before);
  t.is(cluster.calls().length, calls, 'nothing was started or stopped');
  t.false(cluster.calls().some((call) => call.includes('OVERLAP')));
});
