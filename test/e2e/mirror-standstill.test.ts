// A standby whose mirror process stands still (SIGSTOP), and strangers who send nonsense to the port of the link, both under writes
// (SAFETY a.7b, W2, S14). Every claim of `sync` is looked at by when an answer came. MIRROR_STOPS (4) and MIRROR_FLOOD_SECONDS
// (10) set how often and how long.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import anyTest, { type TestFn } from 'ava';
import { systemClock } from 'understudy/plugin';
import { encodeFrame } from '../../plugins/disk-mirror/link/encode-frame.js';
import { processState } from '../../core/lab/host-processes.js';
import { MirrorPair } from '../support/mirror-pair/mirror-pair.js';
import { type Answered, spreadSlots, StampLoad } from '../support/mirror-pair/stamp-load.js';
import { until } from '../support/until.js';

const test = anyTest.serial as unknown as TestFn;
const STOPS = Number(process.env['MIRROR_STOPS'] ?? 4);
const FLOOD_SECONDS = Number(process.env['MIRROR_FLOOD_SECONDS'] ?? 10);
const FLOOD_BYTES_PER_SECOND = 24 * 1024 * 1024;
const SIZE = 16 * 1024 * 1024;

test(`the standby’s process stands still ${STOPS} times: nothing is answered before it has left the record, nothing is lost`, async (t) => {
  t.timeout(60_000 + STOPS * 20_000);
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE, options: { peerTimeout: '1s' } });
  const answers: Answered[] = [];
  const load = new StampLoad(spreadSlots(32, SIZE), (answer) => answers.push(answer));
  await load.begin(await pair.client('a'));
  for (let stop = 0; stop < STOPS; stop += 1) {
    const enough = load.answers + 200;
    await until('more answers', () => load.answers >= enough, 20_000);
    const known = pair.record.removals.length;
    pair.signal('b', 'SIGSTOP');
    await until('it stands still', () => processState(pair.pid('b')) === 'T');
    const stoodMs = systemClock.nowMs();
    await until('it has left the record', () => pair.record.removals.length > known, 20_000);
    const { atMs } = pair.record.removals[known] ?? { atMs: 0 };
    const more = load.answers + 100;
    await until('answers by one copy alone', () => load.answers >= more, 20_000);
    const early = answers.filter(({ sentMs, answeredMs }) => sentMs > stoodMs && answeredMs < atMs);
    t.deepEqual(early, [], `stop ${stop + 1}: sent after it stood still, answered before it had left the record`);
    t.true(
      answers.some(({ answeredMs }) => answeredMs > atMs),
      'and it went on alone',
    );
    pair.signal('b', 'SIGCONT');
    await pair.whole('a');
    answers.length = 0;
  }
  await load.stop();
  const client = await pair.client('a');
  t.deepEqual(await load.lostOn(client), []);
  client.close();
  await pair.equalAtRest('a');
  t.log(`${STOPS} times, ${load.answers} answers`);
});

/** What a stranger may send: noise, headers of promise, frames of another cluster, halves. */
const nonsense = (round: number): Buffer => {
  const { header } = encodeFrame({ t: 'flush', epoch: round, seq: round });
  const broken = Buffer.from(header);
  broken[round % broken.length] = (broken[round % broken.length] ?? 0) ^ (1 << (round % 8));
  const kinds = [
    randomBytes(64 * 1024),
    Buffer.from(header),
    broken,
    Buffer.concat([header, randomBytes(32 * 1024)]),
    header.subarray(0, round % header.length),
  ];
  return Buffer.from(kinds[round % kinds.length] ?? header);
};

test(`strangers send up to 24 MiB/s to the ports of both links for ${FLOOD_SECONDS} s: the pair stays one, its application is served`, async (t) => {
  t.timeout(60_000 + FLOOD_SECONDS * 2_000);
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE });
  const load = new StampLoad(spreadSlots(16, SIZE));
  await load.begin(await pair.client('a'));
  const [pidA, pidB] = [pair.pid('a'), pair.pid('b')];
  const begunMs = systemClock.nowMs();
  const sockets = new Set<Socket>();
  let [sent, connections, round, checked] = [0, 0, 0, load.answers];
  for (let second = 1; second <= FLOOD_SECONDS; second += 1) {
    while (systemClock.nowMs() < begunMs + second * 1_000) {
      const due = ((systemClock.nowMs() - begunMs) / 1_000) * FLOOD_BYTES_PER_SECOND;
      if (sockets.size < 24 && sent < due) {
        const socket = connect({ host: pair.address(round % 2 === 0 ? 'a' : 'b'), port: pair.port });
        connections += 1;
        sockets.add(socket);
        // To be sent away is what a stranger is for.
        socket.on('error', () => socket.destroy());
        socket.on('close', () => sockets.delete(socket));
      }
      for (const socket of sockets) {
        if (socket.writableLength > 256 * 1024 || sent > due) continue;
        const bytes = nonsense((round += 1));
        sent += bytes.length;
        socket.write(bytes);
      }
      await systemClock.sleep(2);
    }
    const before = checked;
    await until('the application is served', () => load.answers > before, 5_000);
    checked = load.answers;
  }
  for (const socket of sockets) socket.destroy();
  t.deepEqual([pair.pid('a'), pair.pid('b')], [pidA, pidB], 'neither process has ended');
  const rssMib = [pidA, pidB].map((pid) =>
    Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024),
  );
  t.true(Math.max(...rssMib) < 400, `most memory: ${rssMib.join(' and ')} MiB`);
  await pair.whole('a');
  await load.stop();
  await pair.equalAtRest('a');
  t.log(`${Math.round(sent / 1024 / 1024)} MiB over ${connections} connections, ${load.answers} answers, ${rssMib.join(' and ')} MiB`);
});
