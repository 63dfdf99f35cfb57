// Scripted simulations: the words, and what the production code does in the simulated cluster of a config when they are followed.
import test from 'ava';
import type { ClusterConfig } from '../../core/config/cluster-config.js';
import { parseConfigOrThrow } from '../../core/config/parse.js';
import { proveTiming } from '../../core/config/timing.js';
import { runDrill } from '../../core/simulation/drill.js';
import { parseScript } from '../../core/simulation/script.js';
import type { SimResource } from '../../core/simulation/sim-agent.js';
import { wholeWith } from '../../core/simulation/whole.js';

const KINDS = new Map<string, SimResource>([
  ['address', { shows: 'address', startMs: 20, stopMs: 20, monitorMs: 5 }],
  ['app', { shows: 'process', startMs: 1_000, stopMs: 500, monitorMs: 10 }],
]);

const configOf = (more: Record<string, unknown> = {}): ClusterConfig =>
  parseConfigOrThrow(
    JSON.stringify({
      cluster: 'shop',
      key: 'file:/etc/understudy/cluster.key',
      nodes: {
        a: { networks: { heartbeat: ['10.0.0.1', '10.1.0.1'] } },
        b: { networks: { heartbeat: ['10.0.0.2', '10.1.0.2'] } },
      },
      arbiter: { use: 'simulated' },
      watchdog: 'socket:/run/dog',
      fencing: 'watchdog',
      timing: 'fast',
      groups: { db: { prefer: ['a', 'b'], resources: { ip: { use: 'address' }, app: { use: 'app', after: ['ip'], every: '2s' } } } },
      ...more,
    }),
    '/simulated/understudy.config.yaml',
  ).config;

const play = (script: string, seed = 1, config = configOf()) => runDrill(seed, wholeWith(config, KINDS), parseScript(script, config));

test.serial('the words of a script: times, commands, in the order of the times', (t) => {
  const steps = parseScript('at 40s power-on a; at 0 cut b heartbeat-2\nat 500ms pause a 6s;; at 1m app-exit db app', configOf());
  t.deepEqual(
    steps.map(({ atMs, command }) => [atMs, command]),
    [
      [0, { kind: 'cut', node: 'b', from: 1 }],
      [500, { kind: 'pause', node: 'a', forMs: 6_000 }],
      [40_000, { kind: 'power-on', node: 'a' }],
      [60_000, { kind: 'app-exit', group: 'db', resource: 'app' }],
    ],
  );
});

const slips: readonly (readonly [script: string, complaint: RegExp])[] = [
  ['', /it says nothing/],
  ['10s power-off a', /a step begins with: at TIME/],
  ['at soon power-off a', /"soon" is no time/],
  ['at 10s power-of a', /"power-of" is no command, did you mean "power-off"\?; there are power-off, .*app-exit/],
  ['at 10s power-off c', /there is no node "c"; there is a, b/],
  ['at 10s power-off', /it is written: power-off NODE/],
  [
    'at 10s cut a heartbeat-3',
    /there is no network "heartbeat-3", did you mean "heartbeat-1"\?; there is heartbeat-1, heartbeat-2, arbiter/,
  ],
  ['at 10s kill sshd a', /there is no process "sshd"; there is guard, controller, leash/],
  ['at 10s pause a for-ever', /"for-ever" is no duration/],
  ['at 10s switchover web b', /there is no group "web"; there is db/],
  ['at 10s app-exit db disk', /there is no resource of db "disk"/],
  ['at 10s heal a', /it is written: heal/],
];
for (const [script, complaint] of slips)
  test.serial(`a slip: ${script === '' ? 'nothing' : script}`, (t) => {
    t.throws(() => parseScript(script, configOf()), { code: 'USAGE', message: complaint });
  });

test.serial(
  'power off and on: one failover, told, within the worst case that the timing proves, and the same again for the same seed',
  async (t) => {
    const config = configOf();
    const { takeoverWorstMs } = proveTiming(config.timing);
    const result = await play('at 10s power-off a; at 60s power-on a');
    t.deepEqual(
      result.timelines.map(({ timeline: { kind, from, to, outcome } }) => ({ kind, from, to, outcome })),
      [{ kind: 'failover', from: 'a', to: 'b', outcome: 'online' }],
    );
    t.is(result.outages.length, 1);
    const [{ fromMs, toMs, before, after }] = result.outages as [(typeof result.outages)[0]];
    t.deepEqual([fromMs, before, after], [10_000, 'a', 'b']);
    const [addressMs, appMs] = [20, 1_000];
    t.true((toMs ?? Number.POSITIVE_INFINITY) - fromMs <= takeoverWorstMs + addressMs + appMs + 100);
    t.true((toMs ?? 0) - fromMs > config.timing.suspectAfterMs, 'silence alone is no proof');
    t.is((await play('at 10s power-off a; at 60s power-on a')).hash, result.hash);
  },
);

const courses: readonly (readonly [title: string, script: string, kinds: readonly string[], away: readonly string[]])[] = [
  ['a dead controller costs nothing: the next one adopts', 'at 10s kill controller a', [], []],
  ['a dead guard costs nothing: the next one takes the lease up', 'at 10s kill guard a', [], []],
  ['one heartbeat network down: nothing moves', 'at 10s cut a heartbeat-1', [], []],
  ['the arbiter out of one node’s reach, the peer hears it: nothing moves', 'at 10s cut b arbiter', [], []],
  ['a planned move and back', 'at 10s switchover db b; at 30s switchover db a', ['switchover', 'switchover'], ['a b', 'b a']],
  ['the application ends: restarted in place', 'at 10s app-exit db', ['fault'], ['a a']],
  [
    'cut off from everything: it stops itself, the other takes over, and it comes back as a standby',
    'at 10s cut a; at 60s heal',
    ['failover'],
    ['a b'],
  ],
];
for (const [title, script, kinds, away] of courses)
  test.serial(title, async (t) => {
    const { timelines, outages, done } = await play(script, 3);
    t.deepEqual(
      timelines.map(({ timeline }) => timeline.kind),
      kinds,
      JSON.stringify(done),
    );
    t.deepEqual(
      outages.map(({ before, after }) => `${before} ${after}`),
      away,
    );
  });
