// node dist/test/bench/mirror-link/run.js [--seconds 1] [--runs 3]: two processes with a mirror link between them on loopback
// addresses. One sends writes, the other answers `applied` for each; so many are under way at once. Plain, TLS, and TLS with
// zstd on bytes that compress; and both directions, for the end that dialled reads into memory of its own choice.
// Put `chrt -r 1` in front on a busy machine.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { systemClock, systemRandom } from 'understudy/plugin';
import type { Frame } from '../../../plugins/disk-mirror/link/frames.js';
import { insecureNetwork, secureNetwork } from '../../../plugins/disk-mirror/link/peer-network.js';
import { TcpPeerLink } from '../../../plugins/disk-mirror/link/tcp-peer-link.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '1' },
    runs: { type: 'string', default: '3' },
    answer: { type: 'string' },
    way: { type: 'string', default: 'plain' },
  },
});

type Way = 'plain' | 'TLS' | 'TLS, zstd';
const ADDRESS = { a: '127.91.7.1', b: '127.91.7.2' } as const;
const key = { id: 1, bytes: Uint8Array.from({ length: 32 }, (_, at) => at) };

/** `onFrame` gets the link too, for it may answer. */
const open = (node: 'a' | 'b', way: Way, onFrame: (link: TcpPeerLink, frame: Frame) => void, onUp: () => void): TcpPeerLink => {
  const peer = node === 'a' ? 'b' : 'a';
  const self = { cluster: 'bench', group: 'g', volume: 'v', node };
  const network = way === 'plain' ? insecureNetwork(Object.values(ADDRESS)) : secureNetwork({ current: key, all: [key] }, self, peer);
  const paths = [{ network: 'mirror', localAddress: ADDRESS[node], peerAddress: ADDRESS[peer] }];
  const link: TcpPeerLink = new TcpPeerLink(
    { self, peer, paths, port: 4489, network, clock: systemClock, random: systemRandom, compress: way === 'TLS, zstd' ? 'zstd' : 'none' },
    { up: onUp, down: () => {}, frame: (_generation, frame) => onFrame(link, frame) },
  );
  link.start();
  return link;
};

const answer = (node: 'a' | 'b', way: Way): void => {
  open(
    node,
    way,
    (link, frame) => {
      if (frame.t !== 'write') return;
      link.recycle(frame.bytes);
      link.send({ t: 'applied', epoch: 1, seq: frame.seq });
    },
    () => {},
  );
  process.once('disconnect', () => process.exit());
};

interface Job {
  readonly bytes: number;
  readonly depth: number;
}
const JOBS: readonly Job[] = [
  { bytes: 4096, depth: 1 },
  { bytes: 4096, depth: 32 },
  { bytes: 65_536, depth: 8 },
  { bytes: 1024 * 1024, depth: 8 },
];

/** Half noise, half a pattern: compresses to about half. */
const payload = (bytes: number): Buffer => Buffer.concat([randomBytes(bytes / 2), Buffer.alloc(bytes / 2, 'record ')]);

const measure = (send: (frame: Frame) => void, onAnswer: (handler: () => void) => void, { bytes, depth }: Job): Promise<number> =>
  new Promise((resolve) => {
    const data = payload(bytes);
    const fromMs = systemClock.nowMs();
    let answered = 0;
    let seq = 0;
    let running = 0;
    const next = () => {
      running += 1;
      send({ t: 'write', epoch: 1, seq: (seq += 1), offset: 0, bytes: data });
    };
    onAnswer(() => {
      answered += 1;
      running -= 1;
      if (systemClock.nowMs() - fromMs < Number(values.seconds) * 1000) next();
      else if (running === 0) resolve(answered / ((systemClock.nowMs() - fromMs) / 1000));
    });
    for (let at = 0; at < depth; at += 1) next();
  });

const bench = async (node: 'a' | 'b', way: Way, table: Table.Table): Promise<void> => {
  const self = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [self, '--answer', node === 'a' ? 'b' : 'a', '--way', way], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  let handler = () => {};
  let link: TcpPeerLink | undefined;
  await new Promise<void>((up) => {
    link = open(node, way, () => handler(), up);
  });
  for (const job of JOBS) {
    const rates: number[] = [];
    for (let run = 0; run < Number(values.runs); run += 1)
      rates.push(
        await measure(
          (frame) => link?.send(frame),
          (then) => (handler = then),
          job,
        ),
      );
    rates.sort((one, other) => one - other);
    const median = rates[Math.floor(rates.length / 2)] ?? 0;
    const best = rates.at(-1) ?? 0;
    const direction = node === 'a' ? 'to the dialling end' : 'to the accepting end';
    table.push([
      way,
      direction,
      `${job.bytes / 1024}k qd${job.depth}`,
      median.toFixed(0),
      best.toFixed(0),
      ((median * job.bytes) / 2 ** 20).toFixed(0),
    ]);
  }
  child.disconnect();
  await once(child, 'exit');
  await link?.close();
};

if (values.answer === 'a' || values.answer === 'b') answer(values.answer, values.way as Way);
else {
  const table = new Table({
    head: ['way', 'direction', 'writes', 'a second', 'best', 'MiB/s'],
    style: { head: [], border: [], compact: true },
  });
  for (const way of ['plain', 'TLS', 'TLS, zstd'] as const) for (const node of ['a', 'b'] as const) await bench(node, way, table);
  console.log(table.toString());
}
