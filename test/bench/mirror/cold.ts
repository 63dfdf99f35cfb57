// Whether one request stalls the others: hot 4 KiB reads, one at a time, while requests beyond the page cache are under way over the
// same connection. `node cold.js SOCKET EXPORT SECONDS`; prints a line for each load: hot reads a second, their p50, p99 and longest
// in microseconds, and MiB/s of the load.
import { NbdClient } from '../../support/nbd-client.js';

const MIB = 1024 * 1024;
const HOT_BYTES = 4 * MIB;
const COLD_FROM = 64 * MIB;
const COLD_BYTES = 64 * 1024;
const DEPTH = 8;

const [path = '', name = '', seconds = '4'] = process.argv.slice(2);
const client = await NbdClient.open(path, 10_000, name);
let state = 1;
/** A multiple of `step` in [from, to): a fixed sequence, the same for everybody. */
const anywhere = (from: number, to: number, step: number): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return from + Math.floor((state / 2 ** 32) * ((to - from) / step)) * step;
};
const payload = Buffer.alloc(COLD_BYTES, 0x5c);
const place = () => anywhere(COLD_FROM, client.sizeBytes, COLD_BYTES);
const LOADS: Readonly<Record<string, (() => Promise<unknown>) | null>> = {
  none: null,
  'cold-reads': () => client.read(place(), COLD_BYTES),
  writes: () => client.write(place(), payload),
};

for (const [load, ask] of Object.entries(LOADS)) {
  for (let turn = 0; turn < 2; turn += 1) for (let at = 0; at < HOT_BYTES; at += MIB) await client.read(at, MIB);
  const endMs = performance.now() + 1_000 * Number(seconds);
  let asked = 0;
  const goOn = async (): Promise<void> => {
    while (ask !== null && performance.now() < endMs) {
      await ask();
      asked += 1;
    }
  };
  const loads = Array.from({ length: DEPTH }, goOn);
  const tookUs: number[] = [];
  while (performance.now() < endMs) {
    const fromMs = performance.now();
    await client.read(anywhere(0, HOT_BYTES, 4096), 4096);
    tookUs.push((performance.now() - fromMs) * 1_000);
  }
  await Promise.all(loads);
  tookUs.sort((a, b) => a - b);
  const at = (share: number) => Math.round(tookUs[Math.min(tookUs.length - 1, Math.floor(tookUs.length * share))] ?? 0);
  const rate = Math.round(tookUs.length / Number(seconds));
  console.log([load, rate, at(0.5), at(0.99), at(1), Math.round((asked * COLD_BYTES) / MIB / Number(seconds))].join('\t'));
}
client.close();
