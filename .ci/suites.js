// Runs the suites one after the other, shows their output, adds up their closing lines, and ends with `N passed, N failed`.
// A skipped test counts as a failure here: in CI nothing may be left out.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

/** End-to-end files that mostly wait, with timings that survive a busy machine: two of them run at a time. */
const PAIRED = [
  'bad-applications',
  'bad-clouds',
  'bad-networks',
  'cloud-drills',
  'engine-deaths',
  'fencing',
  'lost-arbiters',
  'planned-moves',
  'plugins',
  'wall-clocks',
].map((name) => `test/e2e/${name}.test.ts`);
const ALONE = readdirSync('test/e2e')
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => `test/e2e/${name}`)
  .filter((file) => !PAIRED.includes(file));
/** Tests of one file run one after the other in any case: they say so themselves. */
const e2e = (files, ...flags) => ['node_modules/.bin/ava', '--config', 'ava.e2e.config.js', ...flags, ...files];

const SUITES = [
  { name: 'lint', argv: ['npm', 'run', '-s', 'lint'], counts: false, limitMin: 5 },
  { name: 'the README’s test command', argv: ['npm', 'test'], counts: true, limitMin: 8 },
  { name: 'demo, as in the README', argv: ['npm', 'run', '-s', 'demo'], counts: false, limitMin: 4 },
  // The same seeds each time, date or no date: what fails here fails again. Every sixth runs the real controllers.
  // 1 000 seeds took 191 s on two cores that did little else; beside other work it takes longer, hence the wide limit.
  {
    name: 'simulation, 3 000 seeds of 10 minutes',
    argv: 'npm run -s simulate -- --seeds 3000 --from 1 --minutes 10 --jobs 2 --whole-every 6 --gate'.split(' '),
    counts: false,
    limitMin: 25,
  },
  { name: 'simulation, 400 scenes', argv: 'npm run -s simulate -- --scenes --seeds 400 --jobs 2'.split(' '), counts: false, limitMin: 10 },
  {
    name: 'simulation with mirrored disks, 150 seeds of 3 minutes',
    argv: 'npm run -s simulate:mirror -- --seeds 150 --from 1 --jobs 2'.split(' '),
    counts: false,
    limitMin: 8,
  },
  { name: 'mutants of the mirror in the cluster', argv: ['npm', 'run', '-s', 'mutants:mirror'], counts: false, limitMin: 8 },
  { name: 'fuzz', argv: ['npm', 'run', '-s', 'fuzz', '--', '--inputs', '1000000'], counts: false, limitMin: 12 },
  { name: 'mutants', argv: ['npm', 'run', '-s', 'mutants'], counts: false, limitMin: 10 },
  { name: 'root and third parties', argv: e2e(ALONE), counts: true, limitMin: 26 },
  { name: 'root, files that mostly wait', argv: e2e(PAIRED, '--no-serial', '--concurrency', '2'), counts: true, limitMin: 15 },
];

const run = ({ argv, limitMin }) =>
  new Promise((resolve) => {
    const child = spawn(argv[0], argv.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, PATH: `${process.cwd()}/node_modules/.bin:${process.env.PATH}` },
    });
    let output = '';
    const keep = (chunk) => {
      process.stdout.write(chunk);
      output = (output + chunk).slice(-200_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer = setTimeout(() => {
      console.log(`\nover its limit of ${limitMin} minutes: ended`);
      process.kill(-child.pid, 'SIGKILL');
    }, limitMin * 60_000);
    child.on('exit', (code) => {
      clearTimeout(timer);
      setTimeout(() => resolve({ code: code ?? 1, output }), 200);
    });
  });

const count = (output, what) =>
  [...output.matchAll(new RegExp(`^\\s*(\\d+) ${what}`, 'gm'))].reduce((sum, match) => sum + Number(match[1]), 0);

let passed = 0;
let failed = 0;
const summary = [];
for (const suite of SUITES) {
  if (suite.name.startsWith('root') && !existsSync('dist/test/e2e')) throw new Error('there is no end-to-end suite in dist/test/e2e');
  console.log(`\n=== ${suite.name}: ${suite.argv.join(' ')}`);
  const began = process.hrtime.bigint();
  const { code, output } = await run(suite);
  const seconds = Number((process.hrtime.bigint() - began) / 1_000_000_000n);
  const good = suite.counts ? count(output, 'tests? passed') : Number(code === 0);
  let bad = suite.counts
    ? count(output, 'tests? failed') +
      count(output, 'uncaught exceptions?') +
      count(output, 'unhandled rejections?') +
      count(output, 'tests? (?:skipped|todo)')
    : Number(code !== 0);
  if (suite.counts && bad === 0 && (code !== 0 || good === 0)) bad = 1;
  passed += good;
  failed += bad;
  summary.push(`${suite.name}: ${good} passed, ${bad} failed, exit ${code}, ${seconds} s`);
}
console.log(`\n${summary.join('\n')}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
