// node dist/test/bench/mirror-io/run.js [--directory DIR]... [--mib 256] [--seconds 1] [--runs 3] [--only NAME]... [--cold]
// [--limit-mib 96]: the ways of doing file calls on the file systems named (docs/adr/0012), medians of the runs. --cold gives
// reads a file that is not in memory; --limit-mib runs everything in a memory cgroup of that size (root), where writers meet
// the limits on dirty pages. Put `chrt -r 1` in front on a busy machine.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { type Contender, CONTENDERS } from './contenders.js';
import { type Figures, type Job, measure } from './measure.js';

const { values } = parseArgs({
  options: {
    directory: { type: 'string', multiple: true, default: ['/dev/shm', tmpdir()] },
    mib: { type: 'string', default: '256' },
    seconds: { type: 'string', default: '1' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true, default: Object.keys(CONTENDERS) },
    job: { type: 'string', multiple: true },
    cold: { type: 'boolean', default: false },
    'limit-mib': { type: 'string' },
  },
});

const KIB = 1024;
const JOBS: readonly Job[] = [
  { name: 'write 4k qd1', op: 'write', bytes: 4 * KIB, depth: 1 },
  { name: 'write 4k qd32', op: 'write', bytes: 4 * KIB, depth: 32 },
  { name: 'write 64k qd8', op: 'write', bytes: 64 * KIB, depth: 8 },
  { name: 'write 1m qd8', op: 'write', bytes: KIB * KIB, depth: 8 },
  { name: 'read 4k qd1', op: 'read', bytes: 4 * KIB, depth: 1 },
  { name: 'read 4k qd32', op: 'read', bytes: 4 * KIB, depth: 32 },
  { name: 'read 1m qd8', op: 'read', bytes: KIB * KIB, depth: 8 },
  { name: 'write+flush 4k qd1', op: 'write+flush', bytes: 4 * KIB, depth: 1 },
];

const sizeBytes = Number(values.mib) * KIB * KIB;

/** Written out and dropped from the page cache: by GNU dd, which asks the kernel for just this file. */
const forget = (path: string): void => {
  spawnSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
};

/** Read once, so that what is asked next lies in the page cache. */
const warm = (path: string): void => {
  spawnSync('cat', [path], { stdio: ['ignore', 'ignore', 'inherit'] });
};

const median = (figures: readonly Figures[], of: keyof Figures): number =>
  figures.map((one) => one[of]).toSorted((one, other) => one - other)[Math.floor(figures.length / 2)] ?? 0;

const row = async (name: string, open: (path: string) => Promise<Contender>, path: string, job: Job): Promise<string[]> => {
  const figures: Figures[] = [];
  for (let run = 0; run < Number(values.runs); run += 1) {
    if (job.op === 'read') (values.cold ? forget : warm)(path);
    let file: Contender;
    try {
      file = await open(path);
    } catch (error) {
      return [job.name, name, (error as Error).message.slice(0, 60), '', '', '', ''];
    }
    figures.push(await measure(file, job, sizeBytes, Number(values.seconds)));
    await file.close();
  }
  const text = (of: keyof Figures, digits = 1) => median(figures, of).toFixed(digits);
  const best = Math.max(...figures.map(({ perSecond }) => perSecond));
  return [job.name, name, text('perSecond', 0), String(best), text('p50Us'), text('p99Us'), text('stallMs')];
};

const bench = async (directory: string): Promise<void> => {
  const place = mkdtempSync(join(directory, 'understudy-bench-io-'));
  const path = join(place, 'volume.img');
  try {
    const filler = Buffer.alloc(KIB * KIB, 0xa5);
    for (let at = 0; at < sizeBytes; at += filler.length) writeFileSync(path, filler, { flag: 'a' });
    const table = new Table({
      head: ['job', 'way', 'a second', 'best', 'p50 µs', 'p99 µs', 'longest turn ms'],
      style: { head: [], border: [], compact: true },
    });
    for (const job of JOBS.filter((one) => values.job?.includes(one.name) ?? true))
      for (const [name, open] of Object.entries(CONTENDERS)) if (values.only.includes(name)) table.push(await row(name, open, path, job));
    console.log(
      `${directory} (${fileSystemOf(directory)}), ${values.mib} MiB${values.cold ? ', cold reads' : ''}${process.env['LIMIT_SAID'] ?? ''}`,
    );
    console.log(table.toString());
  } finally {
    rmSync(place, { recursive: true });
  }
};

const fileSystemOf = (directory: string): string => spawnSync('stat', ['-f', '-c', '%T', directory], { encoding: 'utf8' }).stdout.trim();

/** Runs this program again in a memory cgroup, version 2 or 1. */
const limited = (mib: string): number => {
  const v2 =
    existsSync('/sys/fs/cgroup/cgroup.controllers') && readFileSync('/sys/fs/cgroup/cgroup.controllers', 'latin1').includes('memory');
  const group = join(v2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory', `understudy-bench-${process.pid}`);
  mkdirSync(group);
  try {
    writeFileSync(join(group, v2 ? 'memory.max' : 'memory.limit_in_bytes'), String(Number(mib) * KIB * KIB));
    const again = process.argv.slice(2).filter((one, at, all) => one !== '--limit-mib' && all[at - 1] !== '--limit-mib');
    const self = fileURLToPath(import.meta.url);
    const done = spawnSync('sh', ['-c', 'echo $$ >"$0/cgroup.procs"; exec "$@"', group, process.execPath, self, ...again], {
      stdio: 'inherit',
      env: { ...process.env, LIMIT_SAID: `, at most ${mib} MiB of memory` },
    });
    return done.status ?? 1;
  } finally {
    rmdirSync(group);
  }
};

if (values['limit-mib'] !== undefined) process.exitCode = limited(values['limit-mib']);
else for (const directory of values.directory) await bench(directory);
