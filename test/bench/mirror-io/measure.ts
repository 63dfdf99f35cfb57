// One job against one contender: so many requests at once for so long, at random places; requests a second, their latency, and
// the longest time for which the event loop did not turn.
import { randomBytes } from 'node:crypto';
import type { Contender } from './contenders.js';

export interface Job {
  readonly name: string;
  readonly op: 'read' | 'write' | 'write+flush';
  readonly bytes: number;
  readonly depth: number;
}

export interface Figures {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly stallMs: number;
}

const nowUs = (): number => Number(process.hrtime.bigint()) / 1000;

export const measure = async (file: Contender, { op, bytes, depth }: Job, spanBytes: number, seconds: number): Promise<Figures> => {
  const blocks = Math.floor(spanBytes / bytes);
  const latencies: number[] = [];
  let lastTurnUs = nowUs();
  let stallUs = 0;
  let turning = true;
  const turn = () => {
    const now = nowUs();
    stallUs = Math.max(stallUs, now - lastTurnUs);
    lastTurnUs = now;
    if (turning) setImmediate(turn);
  };
  // An immediate keeps the loop from sleeping in poll, so only a timer watches where latency counts: at depth 1.
  const watch = depth === 1 ? setInterval(turn, 1) : setImmediate(turn);
  const startUs = nowUs();
  const endUs = startUs + seconds * 1e6;
  await new Promise<void>((resolve, reject) => {
    let running = 0;
    const go = (buffer: Buffer) => {
      const fromUs = nowUs();
      if (fromUs >= endUs) {
        if (running === 0) resolve();
        return;
      }
      const done = (error: Error | null) => {
        if (error !== null) return reject(error);
        running -= 1;
        latencies.push(nowUs() - fromUs);
        go(buffer);
      };
      running += 1;
      const offset = Math.floor(Math.random() * blocks) * bytes;
      if (op === 'read') file.read(buffer, offset, done);
      else if (op === 'write') file.write(buffer, offset, done);
      else file.write(buffer, offset, (error) => (error === null ? file.flush(done) : done(error)));
    };
    for (let at = 0; at < depth; at += 1) go(randomBytes(bytes));
  });
  const tookUs = nowUs() - startUs;
  turning = false;
  clearInterval(watch as NodeJS.Timeout);
  latencies.sort((one, other) => one - other);
  return {
    perSecond: Math.round(latencies.length / (tookUs / 1e6)),
    p50Us: latencies[Math.floor(latencies.length / 2)] ?? 0,
    p99Us: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    stallMs: stallUs / 1000,
  };
};
