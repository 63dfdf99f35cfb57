// A planned move under write load (acceptance row 1): clients write through the address all the time, and nothing that was
// acknowledged is missing afterwards. Limit: there is no disk mirror yet, so the application syncs to a file that stands for
// storage that both hosts share; what is shown is the order of the move, not the replication of data.
// Timing `fast`: a planned move waits for no timer of the profile, and a busy machine may stand still for a second.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { type LabProcess, startProcess } from '../../core/lab/lab-process.js';
import { namespaceOf } from '../../core/lab/netns-names.js';
import { DEFAULT_FLOATING, DEFAULT_PORT } from '../../core/lab/topology.js';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `pm${randomBytes(3).toString('hex')}`;
const MOVES = Number(process.env['MOVES'] ?? 4);
const GROUP = 'web';
const AT = `${DEFAULT_FLOATING}:${DEFAULT_PORT}`;
const KEEPER = fileURLToPath(new URL('../support/lab/app/stamp-keeper.js', import.meta.url));
const WRITER = fileURLToPath(new URL('../support/stamp-writer.js', import.meta.url));
const CLIENTS = 4;
/** What a planned move may cost beside the start and stop of the application itself. */
const RTO_MS = 3000;

const directory = obstacle === null ? mkdtempSync(join(tmpdir(), 'understudy-stamps-')) : '';
const [keptFile, acknowledgedFile] = [join(directory, 'kept'), join(directory, 'acknowledged')];
let writer: LabProcess | null = null;

anyTest.serial.after.always(() => {
  writer?.kill('SIGKILL');
  if (obstacle !== null) return;
  DrillLab.sweep(ID);
  rmSync(directory, { recursive: true, force: true });
});

interface Acknowledged {
  readonly stamp: string;
  readonly atMs: number;
}
const lines = (file: string): readonly string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1);
const acknowledged = (): readonly Acknowledged[] =>
  lines(acknowledgedFile).map((line) => {
    const [stamp = '', atMs = ''] = line.split(' ');
    return { stamp, atMs: Number(atMs) };
  });

test(`row 1: ${MOVES} planned moves under write load: no acknowledged write is lost, each takes at most 3 s beside the application, with the next epoch, and the old address is gone before the new one is there`, async (t) => {
  t.timeout(240_000);
  const groups = {
    [GROUP]: {
      prefer: ['a', 'b'],
      failover: { max: 1000, within: '1h' },
      resources: {
        vip: {
          use: 'overlay-ip',
          address: DEFAULT_FLOATING,
          routeTables: ['rtb-lab-1'],
          interface: 'lo',
          on: { a: { eni: 'eni-lab-a' }, b: { eni: 'eni-lab-b' } },
        },
        app: { use: 'app-script', mode: 'foreground', start: [process.execPath, KEEPER, AT, keptFile], every: '1s' },
      },
    },
  };
  for (const file of [keptFile, acknowledgedFile]) writeFileSync(file, '');
  const lab = await DrillLab.start(ID, { groups, timing: 'fast' });
  let before = await lab.settled();
  writer = startProcess(
    {
      argv: ['ip', 'netns', 'exec', namespaceOf(ID, 'client'), process.execPath, WRITER, AT, acknowledgedFile, String(CLIENTS), '200'],
      env: {},
    },
    { logFile: join(directory, 'writer.log') },
  );
  const writesOf = (count: number) => {
    const had = acknowledged().length;
    return lab.until(`${count} more acknowledged writes`, 20_000, (last) => {
      last(`${acknowledged().length - had}`);
      return acknowledged().length - had >= count;
    });
  };
  await lab.until('a first write', 10_000, () => lines(keptFile).length > 0);

  for (let move = 1; move <= MOVES; move++) {
    await writesOf(50);
    const beganMs = systemClock.nowMs();
    await lab.done(move % 2 === 0 ? before.active : before.standby, 'switchover', GROUP, '--to', before.standby);
    await writesOf(50);
    const after = await lab.settled();
    t.deepEqual(after, { active: before.standby, standby: before.active, epoch: before.epoch + 1 }, `move ${move}`);

    const times = acknowledged().map(({ atMs }) => atMs);
    const gapMs = Math.max(...times.slice(1).map((atMs, index) => (atMs < beganMs ? 0 : atMs - times[index]!)));
    const applicationMs =
      (await applicationTime(lab, before.active, 'stop', beganMs)) + (await applicationTime(lab, after.active, 'start', beganMs));
    t.log(
      `move ${move}: no write was acknowledged for ${gapMs.toFixed(0)} ms, of which ${applicationMs.toFixed(0)} ms are the application's`,
    );
    t.true(gapMs <= RTO_MS + applicationMs, `${gapMs} ms`);

    const { observer } = await lab.status();
    for (const thing of [`address ${DEFAULT_FLOATING}`, `application ${GROUP}/app`]) {
      const left = observer?.intervals.findLast((each) => each.thing === thing && each.node === before.active)?.toMs ?? Infinity;
      const came = observer?.intervals.findLast((each) => each.thing === thing && each.node === after.active)?.fromMs ?? -Infinity;
      t.true(left <= came, `${thing} left ${before.active} at ${left} and came to ${after.active} at ${came}`);
    }
    before = after;
  }
  await writesOf(50);
  writer.kill('SIGTERM');
  await writer.exited;

  const kept = lines(keptFile).map((line) => line.split(' ') as [string, string, string]);
  const stamps = new Set(kept.map(([stamp]) => stamp));
  const all = acknowledged();
  t.deepEqual(
    all.filter(({ stamp }) => !stamps.has(stamp)).map(({ stamp }) => stamp),
    [],
    'acknowledged and lost',
  );
  // One writer at a time: after a move no line of the old process comes behind one of the new.
  const writers = kept.map(([, node, pid]) => `${node} ${pid}`).filter((each, index, list) => each !== list[index - 1]);
  t.is(writers.length, MOVES + 1, `one application after the other: ${writers.join(', ')}`);
  t.log(`${all.length} acknowledged writes of ${CLIENTS} clients, ${kept.length} kept`);
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});

/** How long an order to the application took, by the node's journal. */
const applicationTime = async (lab: DrillLab, node: string, kind: 'start' | 'stop', afterMs: number): Promise<number> => {
  const of = (event: { readonly resource?: string | undefined; readonly data?: Readonly<Record<string, unknown>> | undefined }) =>
    event.resource === 'app' && event.data?.['kind'] === kind;
  const begun = (await lab.events(node, 'action.begin', afterMs)).find(of);
  const done = (await lab.events(node, 'action.done', afterMs)).find(of);
  return begun === undefined || done === undefined ? 0 : done.monoMs - begun.monoMs;
};
