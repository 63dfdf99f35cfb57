// Whether a mutant is seen: by the swarm, as the first seed that violates something with it and nothing without it; or by a
// suite, which must fail with it. Each runs in a thread or process of its own, for a module is loaded once.
import { spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import type { Mutant } from './mutant.js';
import type { MutantResult, MutantShare } from './mutant-worker.js';

export interface Caught {
  readonly by: string;
  readonly seed: number | null;
  /** Simulated time of the violation. */
  readonly atMs: number | null;
  readonly sentence: string;
}

export interface Hunt {
  readonly caught: Caught | null;
  /** Seeds that were run, those left out as pointless not counted. */
  readonly ran: number;
  /** Seeds that violate something without the mutant too: they prove nothing. */
  readonly unclean: readonly number[];
}

/** One seed takes seconds; a mutant that lets the world run in circles must not hold the gate. */
const SEED_LIMIT_MS = 240_000;

/** Runs these seeds in their order until the first that catches it, until `untilMs` (performance.now), or `mostRuns` of them. */
export const huntBySeeds = async (
  { name }: Mutant,
  seeds: readonly number[],
  untilMs = Number.POSITIVE_INFINITY,
  mostRuns = Number.POSITIVE_INFINITY,
): Promise<Hunt> => {
  const unclean: number[] = [];
  let ran = 0;
  for (let left = seeds; left.length > 0; ) {
    const found = await firstViolation({ mutant: name, applied: true, seeds: left }, untilMs, mostRuns - ran);
    ran += found.ran;
    if (found.result?.violation == null) break;
    const { seed, violation } = found.result;
    const clean = await firstViolation({ mutant: name, applied: false, seeds: [seed] }, Number.POSITIVE_INFINITY, 1);
    if (clean.result === null)
      return {
        caught: { by: violation.invariant, seed, atMs: violation.atMs, sentence: violation.sentence.split('\n', 1)[0]! },
        ran,
        unclean,
      };
    unclean.push(seed);
    left = left.slice(left.indexOf(seed) + 1);
  }
  return { caught: null, ran, unclean };
};

const firstViolation = (
  share: MutantShare,
  untilMs: number,
  mostRuns: number,
): Promise<{ readonly result: MutantResult | null; readonly ran: number }> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./mutant-worker.js', import.meta.url), { workerData: share });
    let ran = 0;
    let ended = false;
    let result: MutantResult | null = null;
    let timer: NodeJS.Timeout;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        void worker.terminate();
        reject(new Error(`${share.mutant}: a seed did not end within ${SEED_LIMIT_MS / 1_000} s`));
      }, SEED_LIMIT_MS);
    };
    wait();
    worker.on('message', (told: MutantResult) => {
      wait();
      if (ended) return;
      if (!told.skipped) ran += 1;
      if (told.violation !== null) result = told;
      if ((performance.now() > untilMs || ran >= mostRuns) && !ended) {
        ended = true;
        void worker.terminate();
      }
    });
    worker.on('error', reject);
    worker.on('exit', () => {
      clearTimeout(timer);
      resolve({ result, ran });
    });
  });

const SUITE_LIMIT_MS = 180_000;

/** Runs the suite with the mutant in every process of it. A suite that does not run at all catches nothing. */
export const huntBySuite = ({ name }: Mutant, file: string): Promise<Hunt> =>
  new Promise((resolve, reject) => {
    const loader = new URL('./load-with.js', import.meta.url).href;
    const child = spawn(process.execPath, ['node_modules/ava/entrypoints/cli.js', '--fail-fast', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, MUTANT: name, NODE_OPTIONS: `--import=${loader}` },
    });
    let output = '';
    const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-100_000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer = setTimeout(() => child.kill('SIGKILL'), SUITE_LIMIT_MS);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      const [, sentence] = /^\s*✘ \[fail\]:\s*(.*)$/m.exec(output) ?? [];
      if (code !== 0 && sentence === undefined) return reject(new Error(`${name}: ${file} did not run: ${output.trim().slice(-500)}`));
      const caught = sentence === undefined ? null : { by: file, seed: null, atMs: null, sentence };
      return resolve({ caught, ran: 1, unclean: [] });
    });
  });
