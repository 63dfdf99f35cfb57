// Timelines of recorded journals: what a power loss, a planned move and a local restart look like to who asks why.
import test from 'ava';
import type { JournalEvent } from '../../core/model/event.js';
import { explain } from '../../core/planner/explain.js';
import { renderTimeline } from '../../core/planner/render-timeline.js';

type Given = Partial<JournalEvent> & Pick<JournalEvent, 'kind' | 'monoMs'>;

/** One journal: what is common to all its events, then the events. */
const journal = (node: string, common: Partial<JournalEvent>, events: readonly Given[]): readonly JournalEvent[] =>
  events.map((event, seq) => ({
    seq,
    at: '2026-11-22T03:00:00.000Z',
    node,
    bootId: `boot-${node}`,
    source: 'controller',
    group: 'db',
    ...common,
    ...event,
  }));

const action = (
  monoMs: number,
  kind: 'begin' | 'done' | 'failed',
  data: Record<string, unknown>,
  more: Partial<JournalEvent> = {},
): Given => ({
  kind: `action.${kind}`,
  monoMs,
  data,
  ...more,
});

const POWER_LOSS = journal('b', { epoch: 5 }, [
  { kind: 'peer.suspect', monoMs: 400, data: { peer: 'a', lastHeardMonoMs: 150 }, because: 'a was silent before' },
  { kind: 'peer.member', monoMs: 450, data: { peer: 'a' } },
  {
    kind: 'peer.suspect',
    monoMs: 10_240,
    data: { peer: 'a', lastHeardMonoMs: 10_000 },
    because: 'nothing from a for 240 ms on 2 networks',
  },
  { kind: 'lease.acquiring', monoMs: 13_000, because: 'unchanged for W', data: { evidence: 'wait' } },
  { kind: 'lease.held', monoMs: 13_012, because: 'unchanged for W' },
  { kind: 'incident.begin', monoMs: 13_014, incident: 'db.e5', because: 'a is gone', data: { kind: 'failover', from: 'a', to: 'b' } },
  {
    kind: 'hook.done',
    monoMs: 13_064,
    incident: 'db.e5',
    because: 'before',
    data: { point: 'beforeFailover', hook: './route.sh', elapsedMs: 50 },
  },
  action(13_064, 'done', { kind: 'hook', point: 'beforeFailover', elapsedMs: 50 }, { incident: 'db.e5' }),
  action(13_065, 'begin', { kind: 'start', type: 'ip-address' }, { incident: 'db.e5', resource: 'vip', because: 'vip is stopped' }),
  action(13_066, 'begin', { kind: 'orders' }, { incident: 'db.e5', because: 'noted' }),
  action(
    13_105,
    'done',
    { kind: 'start', type: 'ip-address', elapsedMs: 40, degraded: 'rtb-2' },
    { incident: 'db.e5', resource: 'vip', because: 'vip is stopped' },
  ),
  action(13_106, 'begin', { kind: 'start', type: 'app-script' }, { incident: 'db.e5', resource: 'pg', because: 'pg is stopped' }),
  action(13_106, 'begin', { kind: 'start', type: 'app-script' }, { incident: 'db.e5', resource: 'redis', because: 'redis is stopped' }),
  action(
    13_206,
    'failed',
    { kind: 'start', type: 'app-script', elapsedMs: 100 },
    { incident: 'db.e5', resource: 'redis', because: 'exit status 1' },
  ),
  action(
    13_306,
    'done',
    { kind: 'start', type: 'app-script', elapsedMs: 200 },
    { incident: 'db.e5', resource: 'pg', because: 'pg is stopped' },
  ),
  action(14_000, 'done', { kind: 'orders', elapsedMs: 934 }, { incident: 'db.e5', because: 'noted' }),
  { kind: 'incident.end', monoMs: 14_001, incident: 'db.e5', data: { state: 'online' } },
]);

const SWITCHOVER = [
  // In the order of the files, not of time: b's journal first.
  ...journal('b', { epoch: 6, incident: 'm-7' }, [
    { kind: 'lease.acquiring', monoMs: 70_001, because: 'released', data: { evidence: 'released' } },
    { kind: 'lease.held', monoMs: 70_004, because: 'released to b' },
    { kind: 'incident.begin', monoMs: 70_005, because: 'released to b', data: { kind: 'switchover', from: 'a', to: 'b' } },
    action(70_005, 'begin', { kind: 'start', type: 'overlay-ip' }, { resource: 'vip' }),
    action(70_025, 'done', { kind: 'start', type: 'overlay-ip', elapsedMs: 20 }, { resource: 'vip', because: 'b holds epoch 6' }),
    { kind: 'incident.end', monoMs: 70_030, data: { state: 'online' } },
  ]),
  ...journal('a', { epoch: 5 }, [
    { kind: 'lease.acquiring', monoMs: 90, because: 'an earlier story' },
    { kind: 'lease.held', monoMs: 100, because: 'an earlier story' },
  ]),
  ...journal('a', { epoch: 5, incident: 'm-7' }, [
    { kind: 'incident.begin', monoMs: 1_000, because: 'patch day', data: { kind: 'switchover', from: 'a', to: 'b' } },
    action(1_001, 'begin', { kind: 'stop', type: 'app-script' }, { resource: 'pg' }),
    action(1_041, 'done', { kind: 'stop', type: 'app-script', elapsedMs: 40 }, { resource: 'pg', because: 'db moves to b' }),
    { kind: 'lease.released', monoMs: 1_046, because: 'everything is stopped' },
    { kind: 'incident.end', monoMs: 1_050, data: { state: 'online' } },
  ]),
  ...journal('lab', { source: 'lab' }, [
    { kind: 'probe.gap', monoMs: 5, data: { gapMs: 71.25 } },
    { kind: 'probe.gap', monoMs: 6, data: { gapMs: 12 } },
  ]),
];

const RESTART = journal('a', { epoch: 5, incident: 'db.e5.pg.1' }, [
  { kind: 'lease.held', monoMs: 100, because: 'an earlier story', incident: 'db.e5' },
  { kind: 'incident.begin', monoMs: 500, because: 'pg: process 4711 ended', data: { kind: 'fault', from: 'a', to: 'a', resource: 'pg' } },
  action(501, 'begin', { kind: 'stop', type: 'app-script' }, { resource: 'pg', because: 'pg failed' }),
  action(506, 'done', { kind: 'stop', type: 'app-script', elapsedMs: 5 }, { resource: 'pg', because: 'pg failed' }),
  action(507, 'begin', { kind: 'start', type: 'app-script' }, { resource: 'pg', because: 'pg is restarted in place' }),
]);

const cases: readonly (readonly [title: string, events: readonly JournalEvent[], expected: string])[] = [
  [
    'power loss: silence, waiting, lease, hook, address and start, each with its time; a note is not on the way',
    POWER_LOSS,
    `
failover of db from a to b: a is gone
     +0 ms   240 ms  b  detect     a fell silent                nothing from a for 240 ms on 2 networks
   +240 ms  2760 ms  b  wait       for proof that a is down     unchanged for W
  +3000 ms    12 ms  b  arbitrate  lease of epoch 5             unchanged for W
  +3014 ms    50 ms  b  hooks      beforeFailover ./route.sh    before
  +3065 ms    40 ms  b  address    start vip (degraded: rtb-2)  vip is stopped
  +3066 ms   934 ms  b  note       orders db                    noted
  +3106 ms   100 ms  b  start      start redis FAILED           exit status 1
  +3106 ms   200 ms  b  start      start pg                     pg is stopped
  total 3306 ms (detect 240 ms, wait 2760 ms, arbitrate 12 ms, hooks 50 ms, address 40 ms, start 200 ms)
  ended online; incident db.e5
`,
  ],
  [
    'planned move: the node that is left comes first, each with its own clock, and the gap that clients saw',
    SWITCHOVER,
    `
switchover of db from a to b: patch day
   +1 ms  40 ms  a  stop       stop pg           db moves to b
  +41 ms   5 ms  a  release    lease of epoch 5  everything is stopped
  +46 ms   3 ms  b  arbitrate  lease of epoch 6  released to b
  +50 ms  20 ms  b  address    start vip         b holds epoch 6
  total 70 ms (stop 40 ms, release 5 ms, arbitrate 3 ms, address 20 ms); clients waited 71 ms
  note: a and b have clocks of their own: the steps of each are put behind those of the one before
  ended online; incident m-7
`,
  ],
  [
    'local restart that has not ended: told as far as the journal goes',
    RESTART,
    `
fault of db on a: pg: process 4711 ended
  +0 ms  0 ms  a  fault  pg failed            pg: process 4711 ended
  +1 ms  5 ms  a  stop   stop pg              pg failed
  +7 ms     …  a  start  start pg, not ended  pg is restarted in place
  total 7 ms (fault 0 ms, stop 5 ms, start 0 ms)
  not ended yet; incident db.e5.pg.1
`,
  ],
  [
    'the old holder fenced itself: told without a place in the other clock',
    [
      ...POWER_LOSS,
      ...journal('a', { epoch: 4 }, [
        { kind: 'lease.fencing-self', monoMs: 9, because: 'no renewal for 1250 ms' },
        { kind: 'lease.stopped', monoMs: 329 },
      ]),
    ],
    `
failover of db from a to b: a is gone
     +0 ms   240 ms  b  detect     a fell silent                nothing from a for 240 ms on 2 networks
   +240 ms  2760 ms  b  wait       for proof that a is down     unchanged for W
  +3000 ms    12 ms  b  arbitrate  lease of epoch 5             unchanged for W
  +3014 ms    50 ms  b  hooks      beforeFailover ./route.sh    before
  +3065 ms    40 ms  b  address    start vip (degraded: rtb-2)  vip is stopped
  +3066 ms   934 ms  b  note       orders db                    noted
  +3106 ms   100 ms  b  start      start redis FAILED           exit status 1
  +3106 ms   200 ms  b  start      start pg                     pg is stopped
  total 3306 ms (detect 240 ms, wait 2760 ms, arbitrate 12 ms, hooks 50 ms, address 40 ms, start 200 ms)
  note: a fenced itself and had everything stopped after 320 ms: no renewal for 1250 ms
  ended online; incident db.e5
`,
  ],
];

for (const [title, events, expected] of cases) {
  test(title, (t) => {
    const timeline = explain(events);
    t.not(timeline, null);
    if (timeline !== null) t.is(`\n${renderTimeline(timeline).join('\n')}\n`, expected);
  });
}

test('the last incident is told, a named one on demand, none where there is none', (t) => {
  const events = [
    ...POWER_LOSS,
    ...journal('b', { epoch: 5 }, [
      { kind: 'incident.begin', monoMs: 20_000, incident: 'db.e5.pg.1', data: { kind: 'fault', from: 'b', to: 'b', resource: 'pg' } },
    ]),
  ];
  t.is(explain(events)?.incident, 'db.e5.pg.1');
  t.is(explain(events, 'db.e5')?.kind, 'failover');
  t.is(explain(events, 'db.e9'), null);
  t.is(explain([]), null);
});
