// The planner on the smallest worlds: one test per promise that the text scenarios do not tell better.
import test from 'ava';
import { clusterOf, groupOf, PlannerWorld, resourceOf } from '../support/planner-world.js';

const world = (): PlannerWorld => new PlannerWorld(clusterOf([groupOf('db', [resourceOf('vip'), resourceOf('pg', { after: ['vip'] })])]));

test('a cold cluster: the preferred node takes the group and starts it in order', (t) => {
  const w = world();
  const lines: string[] = [];
  w.onLine = (line) => lines.push(line);
  w.run();
  t.deepEqual(lines, ['a  guard takes db, epoch 1 (start)', 'a  start db/vip', 'a  start db/pg']);
  t.is(w.plan('a').verdicts[0]?.state, 'online');
  t.is(w.plan('b').verdicts[0]?.state, 'online');
});

test('the holder is lost: the other takes over, notes it, and starts without waiting for the note', (t) => {
  const w = world();
  w.holds('a', 'db', 1);
  w.powerOff('a');
  t.is(w.plan('b').wills[0]?.want, 'hold');
  t.is(w.plan('b').wills[0]?.rank, 0);
  w.here('a').state = 'lost';
  w.cycle();
  const made = w.plan('b');
  t.deepEqual(
    made.actions.map(({ id, after }) => [id, after]),
    [
      ['start:db/vip@2', []],
      ['start:db/pg@2', ['start:db/vip@2']],
      ['orders:db/failover-noted@2', []],
    ],
  );
});

test('before the first view of the guard: nothing is done and nothing is wanted', (t) => {
  const w = world();
  const observed = { ...w.view('a'), groups: {} };
  w.view = () => observed;
  const made = w.plan('a');
  t.deepEqual(made.actions, []);
  t.is(made.wills[0]?.want, 'none');
  t.is(made.verdicts[0]?.rule, 'record-unread');
});
