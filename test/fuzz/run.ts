// npm run fuzz -- [--inputs N] [--only NAME] [--seed TEXT] [--jobs N]: gives every parser N made-up inputs. Each parser has a
// process of its own with a small heap, so that one that crashes, hangs or eats memory is told with the block of inputs that
// did it; the same seed makes the same inputs. What was found once lies in test/fuzz/corpus and is tried first, always.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readProc } from '../../core/system/process.js';
import { Chance, mutateBytes, mutateJson } from './mutator.js';
import type { Target } from './target.js';

const BLOCK = 1000;
const HEAP_MB = 192;
const HEAP_GROWTH_MB = 16;
const SILENT_LIMIT_MS = 60_000;
const CORPUS = fileURLToPath(new URL('../../../test/fuzz/corpus/', import.meta.url));

const { values: options } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    child: { type: 'string' },
  },
});
const count = (name: 'inputs' | 'jobs'): number => {
  const value = Number(options[name]);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} ${options[name]} is not a count`);
  return value;
};

interface Done {
  readonly inputs: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly heapMb: number;
  readonly rssMb: number;
}

const say = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/** One parser, in this process. */
const fuzz = async (target: Target, inputs: number, seed: string): Promise<void> => {
  Error.stackTraceLimit = 0;
  const outcomes: Record<string, number> = {};
  let slowestMs = 0;
  const judge = async (bytes: Buffer, repaired: boolean): Promise<void> => {
    const keep = (why: string): never => {
      const file = join(CORPUS, target.name, `${seed}-${process.pid}-${Object.keys(outcomes).length}.${repaired ? 'repaired' : 'raw'}`);
      mkdirSync(join(CORPUS, target.name), { recursive: true });
      writeFileSync(file, bytes);
      say({ finding: why, file });
      return process.exit(1);
    };
    const once = async (): Promise<number> => {
      const began = performance.now();
      try {
        const verdict = target.judge(bytes, repaired);
        const outcome = typeof verdict === 'string' ? verdict : await verdict;
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      } catch {
        keep(await storyOf(target, bytes, repaired));
      }
      return performance.now() - began;
    };
    let tookMs = await once();
    // A pause of this process is not the parser's, nor is a collection of what came before: processor time, the best of five.
    for (let again = 0; again < 5 && tookMs > target.slowMs; again += 1) {
      const before = process.cpuUsage();
      await once();
      const { user, system } = process.cpuUsage(before);
      tookMs = Math.min(tookMs, (user + system) / 1000);
    }
    if (tookMs > target.slowMs) keep(`one input takes ${tookMs.toFixed(1)} ms; the bound is ${target.slowMs}`);
    slowestMs = Math.max(slowestMs, tookMs);
  };
  for (const [name, bytes] of savedOf(target.name)) await judge(bytes, name.endsWith('.repaired'));
  for (const bytes of target.seeds) await judge(bytes, false);
  const heapOf = (): number => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  let heapBytes = 0;
  const blocks = Math.ceil(inputs / BLOCK);
  for (let block = 0; block < blocks; block += 1) {
    if (block === 1) heapBytes = heapOf();
    say({ block });
    const chance = new Chance(`${seed}/${target.name}/${block}`);
    for (let left = Math.min(BLOCK, inputs - block * BLOCK); left > 0; left -= 1) {
      const { values } = target;
      const structured = values !== undefined && chance.below(2) === 0;
      const bytes = structured ? encoded(target, mutateJson(chance, values), chance) : mutateBytes(chance, target.seeds);
      const repaired = structured || (target.repair !== undefined && chance.below(2) === 0);
      await judge(structured || !repaired ? bytes : target.repair!(bytes), repaired);
    }
  }
  const heapMb = (heapOf() - (heapBytes || heapOf())) / 1e6;
  if (heapMb > HEAP_GROWTH_MB) {
    say({ finding: `${heapMb.toFixed(1)} MB of heap stayed behind`, file: null });
    process.exit(1);
  }
  say({ done: { inputs, outcomes, slowestMs, heapMb, rssMb: process.resourceUsage().maxRSS / 1024 } satisfies Done });
};

/** Once more, with the stack: collecting one for each of a million documented errors takes longer than all else. */
const storyOf = async (target: Target, bytes: Buffer, repaired: boolean): Promise<string> => {
  Error.stackTraceLimit = 20;
  try {
    await target.judge(bytes, repaired);
    return 'it failed once, and not again';
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
};

const encoded = (target: Target, value: unknown, chance: Chance): Buffer =>
  target.encode === undefined ? Buffer.from(JSON.stringify(value) ?? 'null') : target.encode(value, chance);

const savedOf = (name: string): readonly (readonly [string, Buffer])[] => {
  const directory = join(CORPUS, name);
  return existsSync(directory) ? readdirSync(directory).map((file) => [file, readFileSync(join(directory, file))] as const) : [];
};

/** Processor time of a process; null when it is gone or the system does not tell. */
const processorMsOf = (pid: number | undefined): number | null => {
  const line = readProc(`/proc/${pid}/stat`);
  if (line === null) return null;
  const [user, system] = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  // In ticks of 10 ms.
  return 10 * (Number(user) + Number(system));
};

/** The same in a process of its own; true when nothing was found. */
const supervised = (target: Target, inputs: number, seed: string): Promise<boolean> =>
  new Promise((resolve) => {
    const began = performance.now();
    const argv = [
      `--max-old-space-size=${HEAP_MB}`,
      '--expose-gc',
      fileURLToPath(import.meta.url),
      '--child',
      target.name,
      '--inputs',
      String(inputs),
      '--seed',
      seed,
    ];
    const child: ChildProcess = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    let [block, rest, finding] = [0, '', ''];
    let done: Done | null = null;
    let [waits, usedMs] = [0, 0];
    const hung = () => {
      waits += 1;
      // What the machine does not let run is not hung: that uses its processor, or comes to no end for ten times as long.
      const runsMs = (processorMsOf(child.pid) ?? Infinity) - usedMs;
      if (runsMs < SILENT_LIMIT_MS / 2 && waits < 10) {
        timer = setTimeout(hung, SILENT_LIMIT_MS);
        return;
      }
      finding = `nothing for ${(waits * SILENT_LIMIT_MS) / 1000} s`;
      child.kill('SIGKILL');
    };
    let timer = setTimeout(hung, SILENT_LIMIT_MS);
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      clearTimeout(timer);
      [waits, usedMs] = [0, processorMsOf(child.pid) ?? 0];
      timer = setTimeout(hung, SILENT_LIMIT_MS);
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const said = JSON.parse(line) as { block?: number; finding?: string; file?: string | null; done?: Done };
        block = said.block ?? block;
        finding = said.finding === undefined ? finding : `${said.finding}${said.file == null ? '' : `\n  kept as ${said.file}`}`;
        done = said.done ?? done;
      }
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      if (done !== null && code === 0) {
        const { outcomes, slowestMs, heapMb, rssMb } = done;
        const shares = Object.entries(outcomes)
          .sort(([, one], [, other]) => other - one)
          .slice(0, 6)
          .map(([outcome, times]) => `${outcome} ${times}`)
          .join(', ');
        console.log(
          `ok   ${target.name}: ${inputs} inputs in ${seconds} s, slowest ${slowestMs.toFixed(1)} ms, heap ${heapMb.toFixed(1)} MB more, at most ${rssMb.toFixed(0)} MB; ${shares}`,
        );
      } else
        console.log(
          `FAIL ${target.name}: seed ${seed}, block ${block} of ${BLOCK} inputs: ${finding || `it ended with ${signal ?? code}`}`,
        );
      resolve(done !== null && code === 0);
    });
  });

const { TARGETS } = await import('./targets.js');
const chosen = TARGETS.filter(({ name }) => (options.child ?? options.only ?? name) === name);
if (chosen.length === 0) throw new Error(`there is no parser "${options.only}"; there are: ${TARGETS.map(({ name }) => name).join(', ')}`);
if (options.child === undefined) {
  const waiting = [...chosen];
  const results: boolean[] = [];
  let total = 0;
  const worker = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
      const inputs = Math.ceil(count('inputs') / (target.oneOf ?? 1));
      total += inputs;
      results.push(await supervised(target, inputs, options.seed));
    }
  };
  await Promise.all(Array.from({ length: count('jobs') }, worker));
  const good = results.filter(Boolean).length;
  console.log(`${total} inputs, seed ${options.seed}`);
  console.log(`${good} parsers passed, ${results.length - good} parsers failed`);
  process.exitCode = good === results.length ? 0 : 1;
} else for (const target of chosen) await fuzz(target, count('inputs'), options.seed);
