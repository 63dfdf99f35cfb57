import test from 'ava';
import { startCluster } from '../support/node-processes.js';
import type { Timeline } from '../../core/planner/explain.js';
import { LAN } from '../support/controller-world.js';
import { until } from '../support/until.js';

test.serial('two nodes as real processes: start, both daemons killed in turn, switchover, power loss', async (t) => {
  t.timeout(90_000);
  const cluster = await startCluster();
  t.teardown(() => cluster.stop());
  const { a, b } = cluster.nodes;
  a.on();
  b.on();
  await cluster.online('a');
  t.deepEqual(cluster.calls(), ['start vip a alone', 'start app a alone']);
  await until('b is ready', async () => (await cluster.status('a'))?.groups[0]?.standbys[0]?.ready === true);

  // The controller is killed: the next one adopts; nothing is started or stopped.
  const before = a.pids()['controller'];
  a.kill('controller');
  await until('another controller', async () => a.pids()['controller'] !== before && (await cluster.status('a'))?.source === 'controller');
  await cluster.online('a');
  t.is(cluster.calls().length, 2);
  // The guard is killed: it is back before the deadline and holds the same epoch.
  const epoch = (await cluster.status('a'))?.groups[0]?.epoch;
  const guard = a.pids()['guard'];
  a.kill('guard');
  await until('another guard', () => a.pids()['guard'] !== guard && a.pids()['guard'] != null);
  await until('it renews', async () => ((await cluster.status('a'))?.groups[0]?.leaseRemainingMs ?? 0) > 500);
  t.is((await cluster.status('a'))?.groups[0]?.epoch, epoch);
  t.is(cluster.calls().length, 2);

  // A planned move, ordered on the node that does not run it.
  await until('b knows that it is ready', async () => (await cluster.status('b'))?.groups[0]?.standbys[0]?.ready === true);
  const answer = await b.api.order({
    verb: 'switchover',
    group: 'g',
    to: 'b',
    by: 'test',
    why: 'to see it',
    wait: true,
    timeoutMs: 20_000,
  });
  t.is(answer.message, 'g is on b');
  t.deepEqual(cluster.calls().slice(2), ['stop app a alone', 'stop vip a alone', 'start vip b alone', 'start app b alone']);

  // Power loss of the active node: the other takes over after W, and never beside it.
  b.powerOff();
  await cluster.online('a', 30_000);
  t.deepEqual(cluster.running('app'), ['a']);
  t.false(cluster.calls().some((call) => call.includes('OVERLAP')));
  const failover = (await cluster.events()).find(({ kind, data }) => kind === 'incident.begin' && data?.['kind'] === 'failover');
  t.like(failover, { node: 'a', data: { from: 'b', to: 'a' } });
  // The story is told by the node that took over: who, why, and W waited for.
  const timeline = (await a.api.explain(failover?.incident)) as Timeline;
  t.like(timeline, { kind: 'failover', group: 'g', from: 'b', to: 'a' });
  t.true(
    timeline.steps.some(({ label, what }) => label === 'start' && what.includes('app')),
    JSON.stringify(timeline.steps),
  );
  const lost = (await cluster.events()).findLast(
    ({ kind, node, monoMs }) => kind === 'peer.suspect' && node === 'a' && monoMs < failover!.monoMs,
  );
  t.true(
    failover!.monoMs - lost!.monoMs >= LAN.takeoverWaitMs - LAN.suspectAfterMs - LAN.pollMs,
    'never less than W after the last change of the record',
  );
});
