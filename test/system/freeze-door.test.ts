// A process that serves data, asked from sh to serve nobody: what stands in the files at each moment.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemFiles } from '../../core/system/files-system.js';
import { FreezeDoor } from '../../core/system/freeze-door.js';
import { FakeClock } from '../support/fake-clock.js';

const scene = (t: ExecutionContext, freeze: (because: string) => void | Promise<void> = () => undefined) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-freeze-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const socket = join(directory, 'mirror.sock');
  const clock = new FakeClock();
  const asked: string[] = [];
  const troubles: string[] = [];
  const door = new FreezeDoor({
    files: systemFiles,
    clock,
    socket,
    pid: 77,
    startTime: '1234',
    freeze: (because) => {
      asked.push(because);
      return freeze(because);
    },
    trouble: (because) => void troubles.push(because),
  });
  const has = (end: string) => (existsSync(`${socket}.${end}`) ? readFileSync(`${socket}.${end}`, 'utf8') : null);
  return { socket, clock, asked, troubles, door, has, ask: () => writeFileSync(`${socket}.freeze`, '') };
};

test('begun: it says who it is and that it serves nobody; serving: it says that no more; idle again', (t) => {
  const { door, has } = scene(t);
  door.open();
  t.deepEqual([has('pid'), has('idle')], ['77 1234\n', '77 1234\n']);
  door.serve();
  t.deepEqual([has('pid'), has('idle')], ['77 1234\n', null]);
  door.idle();
  t.is(has('idle'), '77 1234\n');
  door.close();
});

test('asked while it serves: everything is ended first, then said', async (t) => {
  let ended: () => void = () => undefined;
  const { door, has, ask, asked, clock } = scene(t, () => new Promise((resolve) => (ended = resolve)));
  door.open();
  door.serve();
  ask();
  await clock.advanceAsync(100);
  t.is(asked.length, 1, 'once, although the request still stands');
  t.is(has('idle'), null);
  ended();
  await clock.settle();
  t.is(has('idle'), '77 1234\n');
  door.close();
});

test('asked while it serves nobody: said again', async (t) => {
  const { door, has, ask, asked, clock, socket } = scene(t);
  door.open();
  rmSync(`${socket}.idle`);
  ask();
  await clock.advanceAsync(50);
  t.is(has('idle'), '77 1234\n');
  t.deepEqual(asked, []);
  door.close();
});

test('a request left behind by a stop that was interrupted: not of the epoch that begins now', async (t) => {
  const { door, ask, asked, has, clock } = scene(t);
  door.open();
  ask();
  door.serve();
  await clock.advanceAsync(100);
  t.deepEqual(asked, []);
  t.is(has('freeze'), null);
  t.is(has('idle'), null);
  door.close();
});

test('an end that fails: not said, told, tried again', async (t) => {
  let works = false;
  const { door, has, ask, clock, troubles } = scene(t, () => (works ? undefined : Promise.reject(new Error('the engine does not answer'))));
  door.open();
  door.serve();
  ask();
  await clock.advanceAsync(25);
  t.is(has('idle'), null);
  t.regex(troubles[0] ?? '', /the engine does not answer/);
  works = true;
  await clock.advanceAsync(25);
  t.is(has('idle'), '77 1234\n');
  door.close();
});
