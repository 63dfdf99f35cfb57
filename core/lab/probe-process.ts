// The client: asks a floating address every few milliseconds who answers, and tells gaps as they end. Runs where clients are
// (in netns the client's namespace). Every request is new (a datagram, or a TCP connection): a kept connection would show
// what became of the connection, not of the service.
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { systemClock } from '../system/clock.js';
import { type Gap, GapMeter, type ProbeReport } from './gap-meter.js';

export interface ProbePlan {
  readonly kind: 'udp' | 'http';
  readonly address: string;
  readonly port: number;
  readonly everyMs: number;
  /** Ends by itself after so long, at the latest. */
  readonly forMs: number;
  /** Gaps from this length, and changes of node, are told one by one. */
  readonly noteGapMs: number;
}

export type FromProbe =
  | { readonly t: 'first'; readonly node: string; readonly atMs: number }
  | { readonly t: 'gap'; readonly gap: Gap }
  | { readonly t: 'tally'; readonly report: ProbeReport }
  | { readonly t: 'end'; readonly report: ProbeReport };

/** A request that has no answer by then is lost; also bounds how many are under way. */
const LOST_AFTER_MS = 2000;

const plan = JSON.parse(process.argv[2] ?? '{}') as ProbePlan;
const meter = new GapMeter(plan.noteGapMs);
let first = true;

const tell = (message: FromProbe): void => {
  if (process.connected) process.send?.(message);
  else process.stdout.write(`${JSON.stringify(message)}\n`);
};

const answered = (node: string): void => {
  const atMs = systemClock.nowMs();
  const gap = meter.answered(atMs, node);
  if (first) tell({ t: 'first', node, atMs });
  first = false;
  if (gap) tell({ t: 'gap', gap });
};

const udp = (): (() => void) => {
  const socket = createSocket(isIPv6(plan.address) ? 'udp6' : 'udp4');
  socket.on('message', (data) => {
    const [, node] = data.toString('utf8').split(' ');
    if (node) answered(node);
  });
  // Refused or unreachable is one of the answers a client may get: not a good one.
  socket.on('error', () => undefined);
  let number = 0;
  return () => socket.send(String(number++), plan.port, plan.address, () => undefined);
};

const http = (): (() => void) => () => {
  const socket = connect({ host: plan.address, port: plan.port });
  let answer = '';
  const timer = systemClock.after(LOST_AFTER_MS, () => socket.destroy());
  socket.setEncoding('utf8');
  socket.on('connect', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
  socket.on('data', (chunk: string) => {
    answer += chunk;
    const [, node] = /^HTTP\/1\.\d 200 [\s\S]*?\r\nx-node: ([^\r\n]+)\r\n/i.exec(answer) ?? [];
    if (node === undefined && answer.length < 4096) return;
    if (node !== undefined) answered(node);
    socket.destroy();
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => timer.cancel());
};

const ask = plan.kind === 'udp' ? udp() : http();
let ended = false;
const end = (): void => {
  if (ended) return;
  ended = true;
  tell({ t: 'end', report: meter.report(systemClock.nowMs()) });
  // The channel is flushed before the process may go.
  if (process.connected) process.disconnect();
  setImmediate(() => process.exit(0));
};
process.on('SIGTERM', end);
process.on('SIGINT', end);
process.on('disconnect', () => process.exit(0));
process.on('message', () => end());

systemClock.every(plan.everyMs, () => {
  meter.sent();
  ask();
});
systemClock.every(250, () => tell({ t: 'tally', report: meter.report(systemClock.nowMs()) }));
systemClock.after(plan.forMs, end);
