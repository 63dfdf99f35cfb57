// understudy demo as people run it, in both substrates: exit 0 with both gaps, and nothing left behind, also when interrupted.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { allPids, environmentOf } from '../../core/lab/host-processes.js';
import { netnsObstacle } from '../../core/lab/netns-cleanup.js';

const UNDERSTUDY = fileURLToPath(new URL('../../core/cli/bin.js', import.meta.url));
const obstacle = netnsObstacle();
if (obstacle !== null && process.env['CI']) throw new Error(`this suite cannot run in CI: ${obstacle}`);
const substrates = obstacle === null ? ['netns', 'loopback'] : ['loopback'];
if (obstacle !== null) test(`skipped in netns: needs root (${obstacle})`, (t) => t.pass());

/** Plays the demo with a directory of its own for labs; `interruptMs`: Ctrl-C after so long. */
const play = async (substrate: string, interruptMs?: number) => {
  const base = mkdtempSync(join(tmpdir(), 'understudy-demo-'));
  const child = spawn(process.execPath, [UNDERSTUDY, 'demo', '--substrate', substrate], {
    env: { ...process.env, TMPDIR: base },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  if (interruptMs !== undefined) await delay(interruptMs).then(() => child.kill('SIGINT'));
  const exitCode = await ended;
  const id = /lab (demo\d*): two nodes/.exec(output)?.[1];
  const left = [
    // Compiled code that Node keeps is nobody's lab.
    ...readdirSync(base).filter((name) => name !== 'node-compile-cache'),
    ...allPids().filter((pid) => (environmentOf(pid) ?? '').includes(`TMPDIR=${base}\0`)),
    ...(id === undefined || obstacle !== null ? [] : readdirSync('/run/netns').filter((name) => name.startsWith(`us-${id}-`))),
  ];
  rmSync(base, { recursive: true, force: true });
  return { exitCode, output, left };
};

for (const substrate of substrates) {
  test.serial(`${substrate}: a failover, its explanation, a planned move back, both gaps, and nothing left`, async (t) => {
    const { exitCode, output, left } = await play(substrate);
    t.is(exitCode, 0, output);
    for (const line of [
      /substrate \w+ \(asked for\)/,
      /failover of web from (a to b|b to a)/,
      /detect .*wait .*arbitrate .*address .*start/,
      /first good answer of [ab]/,
      /power loss: +(\d+) ms/,
      /planned switchover: +\d+ ms/,
      /two nodes active at once: never/,
      /cleaned up/,
    ])
      t.regex(output, line);
    // takeover: lease waits W after the last change of the record, and that is at most one renewal before the power loss.
    t.true(Number(/power loss: +(\d+) ms/.exec(output)?.[1]) > 2700, output);
    t.deepEqual(left, []);
  });

  for (const interruptMs of [400, 2500, 7000])
    test.serial(`${substrate}: interrupted after ${interruptMs} ms, it leaves nothing`, async (t) => {
      const { exitCode, output, left } = await play(substrate, interruptMs);
      // Before it listens for signals there is nothing to remove: then the signal itself ends it.
      t.true(exitCode === 1 || (exitCode === null && output === ''), output);
      if (exitCode === 1) t.regex(output, /interrupted/);
      t.deepEqual(left, []);
    });
}
