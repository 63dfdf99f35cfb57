// The how-to of the mirror walked as it is written, on two hosts as network namespaces: the copies made by the commands of the page, the
// second with the line that the first prints, then started, looked at, compared. `attach: none` where the page has the kernel's device.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `mh${randomBytes(3).toString('hex')}`;
const GROUP = 'orders-db';
const STAMPER = fileURLToPath(new URL('../support/lab/app/nbd-stamper.js', import.meta.url));
const PAGE = new URL('../../../docs/how-to/mirror-a-volume.md', import.meta.url);
const directory = obstacle === null ? mkdtempSync(join(tmpdir(), 'understudy-how-to-')) : '';
const answers = join(directory, 'answers');
const place = (node: string) => ({
  backing: join(directory, node, 'data.img'),
  metadata: join(directory, node, 'data.metadata'),
  device: join(directory, node, 'device'),
});

anyTest.serial.after.always(() => {
  if (obstacle !== null) return;
  DrillLab.sweep(ID);
  rmSync(directory, { recursive: true, force: true });
});

const groups = {
  [GROUP]: {
    prefer: ['a', 'b'],
    resources: {
      data: { use: 'disk-mirror', attach: 'none', ...place('a'), on: { b: place('b') } },
      app: { use: 'app-script', mode: 'foreground', start: [process.execPath, STAMPER, '${data.device}', answers, '16'], every: '1s' },
    },
  },
};

/** The words of the page's command that begins so, without its comment. */
const written = (begin: string): readonly string[] => {
  const line = readFileSync(PAGE, 'utf8')
    .split('\n')
    .map((each) => each.trim())
    .find((each) => each.startsWith(`understudy ${begin}`));
  if (line === undefined) throw new Error(`the page has no command "understudy ${begin}"`);
  return line
    .replace(/\s+#.*$/, '')
    .split(/\s+/)
    .slice(1);
};

test('mirror a volume, as the page has it: made, started, looked at, compared', async (t) => {
  t.timeout(240_000);
  for (const node of ['a', 'b']) mkdirSync(join(directory, node), { recursive: true });
  writeFileSync(answers, '');
  const lab = await DrillLab.start(ID, { groups, timing: 'fast' });
  // "A file in the place of a device is made by --size".
  const first = await lab.done('a', ...written('mirror create --first'), '--size', '64MiB');
  const [, second = ''] = /On b: understudy (mirror create .*)/.exec(first) ?? [];
  t.regex(second, /--second --uuid [0-9a-f]{32} --size 64MiB orders-db\.data/);
  t.deepEqual(
    written('mirror create --second').map((word) => word.replace(/^[0-9a-f]{32}$/, 'UUID')),
    second
      .replace(' --size 64MiB', '')
      .split(' ')
      .map((word) => word.replace(/^[0-9a-f]{32}$/, 'UUID')),
    'the page has the line that create prints',
  );
  await lab.done('b', ...second.split(' '));

  await lab.done('a', ...written('start orders-db'), '--why', 'the page says so');
  const { active, standby } = await lab.settled(90_000);
  const status = await lab.done(active, ...written('mirror status orders-db.data'));
  t.regex(status, /primary, UpToDate, sync, epoch \d+, serving/);
  const view = JSON.parse(await lab.done(active, ...written('mirror status --json'))) as { readonly peerDisk: string };
  t.is(view.peerDisk, 'UpToDate');
  t.regex(await lab.done(standby, 'status'), /orders-db/);
  t.regex(await lab.done(active, ...written('mirror verify')), /compared/);
  const whatIf = await lab.done(active, ...written('mirror connect --what-if'));
  t.regex(whatIf, /nothing to do|resync/);
  await lab.done(active, 'stop', GROUP, '--why', 'the end of the walk');
  t.true(readFileSync(place('a').backing).equals(readFileSync(place('b').backing)), 'both copies are equal');
  await lab.end();
});
