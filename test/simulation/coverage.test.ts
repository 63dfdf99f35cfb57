// What a gate counts as tried, and what the promise watch takes for a broken promise: both must be able to complain.
import test from 'ava';
import { coverageOf, evidenceOf } from '../../core/simulation/coverage.js';
import { PromiseWatch } from '../../core/simulation/promise-watch.js';
import { SimNode } from '../../core/simulation/sim-node.js';
import { SimProcess } from '../../core/simulation/sim-process.js';
import { World } from '../../core/simulation/world.js';
import { parseConfigOrThrow } from '../../core/config/parse.js';
import type { LeaseRecord } from '../../core/ownership/record.js';

test('coverage: what was not reached is missed, what cannot happen and did is told', (t) => {
  const nothing = coverageOf(new Map());
  t.true(nothing.missed.includes('held tick'));
  t.true(nothing.missed.includes('promise discharged'));
  t.true(nothing.seldom.includes('held please-stop'));
  t.is(nothing.pairs, 0);
  const some = coverageOf(
    new Map([
      ['turn held tick', 3],
      ['turn held start', 1],
    ]),
  );
  t.false(some.missed.includes('held tick'));
  t.deepEqual(some.impossible, ['held start']);
});

test('coverage: the words on which an epoch is taken', (t) => {
  t.is(evidenceOf('the record of epoch 3 (a) has not changed for W = 15000 ms'), 'waited');
  t.is(evidenceOf('a says that epoch 3 is stopped there'), 'stopped');
  t.is(evidenceOf('something else'), 'other');
});

const { config } = parseConfigOrThrow(
  JSON.stringify({
    cluster: 'c',
    key: 'file:/etc/understudy/cluster.key',
    nodes: {
      a: { networks: { heartbeat: ['10.0.0.1'] } },
      b: { networks: { heartbeat: ['10.0.0.2'] } },
      c: { networks: { heartbeat: ['10.0.0.3'] } },
    },
    arbiter: { use: 'simulated' },
    groups: { g: { prefer: ['a', 'b', 'c'], resources: { app: { use: 'simulated' } } } },
  }),
  '/c.yaml',
);

const scene = () => {
  const world = new World(1);
  const nodes = ['a', 'b', 'c'].map((id) => new SimNode(world, { id, rate: 1 }));
  for (const node of nodes) node.powerOn();
  const [a, b, c] = nodes.map((node, index) => new SimProcess(node, 'guard', index + 1)) as [SimProcess, SimProcess, SimProcess];
  const record = {
    epoch: 5,
    seq: 9,
    nonce: 'n',
    holder: 'a',
    state: 'HELD',
    ttlW: 1,
    members: ['a', 'b', 'c'].map((id) => ({ id, bootId: '' })),
  } as unknown as LeaseRecord;
  const watch = new PromiseWatch({ world, group: 'g', nodes, timing: config.timing, record: () => record });
  const nowMs = a.node.monoMs(world.nowMs);
  const page = (deadlineBootMs: number) =>
    watch.page(a.node, {
      epoch: 5,
      state: 'HELD',
      deadlineBootMs,
      deadlineMonoNs: 0n,
      bootOffsetMs: 0,
      bootId: a.node.bootId,
      nonce: 'n',
      inSync: [],
    });
  return { world, watch, record, nowMs, page, a, b, c };
};
const { selfFenceMs } = config.timing;
const ASK = { kind: 'ask', group: 'g', epoch: 5, round: 7, waitMs: 1 } as const;
const GRANT = { kind: 'grant', group: 'g', epoch: 5, round: 7, sees: false } as const;

test('promises: a deadline counts from the sending of a renewal that happened', (t) => {
  const { world, watch, record, nowMs, page, a } = scene();
  watch.sent(a, record);
  watch.written(a, record);
  page(nowMs + selfFenceMs);
  t.deepEqual(world.violations, []);
  page(nowMs + selfFenceMs + 100);
  t.like(world.violations[0], { invariant: 'I-8' });
});

test('promises: all grants of one round, never a part of them', (t) => {
  const { world, watch, nowMs, page, a, b, c } = scene();
  watch.says(a, 'b', ASK);
  watch.says(b, 'a', GRANT);
  watch.says(c, 'a', GRANT);
  page(nowMs + selfFenceMs);
  t.deepEqual(world.violations, []);
  const other = scene();
  other.watch.says(other.a, 'b', ASK);
  other.watch.says(other.b, 'a', GRANT);
  other.page(other.nowMs + selfFenceMs);
  t.like(other.world.violations[0], { invariant: 'I-8' });
});

test('promises: who granted acquires nothing before its W is over, unless the end of the holder is known', (t) => {
  const { world, watch, record, b, a } = scene();
  watch.says(a, 'b', ASK);
  watch.says(b, 'a', GRANT);
  watch.acquires(b, { ...record, epoch: 6 });
  t.like(world.violations[0], { invariant: 'I-8' });
  const other = scene();
  other.watch.says(other.b, 'a', GRANT);
  other.watch.stopped(other.a, 5);
  other.watch.acquires(other.b, { ...other.record, epoch: 6 });
  t.deepEqual(other.world.violations, []);
});
