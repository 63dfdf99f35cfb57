import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { FenceCheck } from '../../core/scheduler/fence-check.js';
import { connect } from 'node:net';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openApi } from '../../core/api/client.js';
import { checkOrder } from '../../core/api/order-check.js';
import { DesiredByNode, dryRun } from '../../core/api/plan-view.js';
import { ApiSources, Routes } from '../../core/api/routes.js';
import { readOrder } from '../../core/api/read-request.js';
import { serveApi } from '../../core/api/server.js';
import { readJournal } from '../../core/journal/read-journal.js';
import { FileJournal } from '../../core/journal/file-journal.js';
import { Journal } from '../../core/journal/journal.js';
import { Link } from '../../core/link/link.js';
import { listenFramed } from '../../core/system/framed-socket.js';
import { apiSocket, guardSocket, journalDir, pathsFrom } from '../../core/system/paths.js';
import { systemClock } from '../../core/system/clock.js';
import { Random, systemRandom } from '../../core/system/random.js';
import { until } from '../support/until.js';
import { FakeGuard, group, hook, lease, resource, SILENT, world, type WorldOptions } from '../support/controller-world.js';

const served = async (t: ExecutionContext, options: WorldOptions = {}) => {
  const made = await world(t, options);
  const directory = mkdtempSync(join(tmpdir(), 'understudy-api-'));
  const paths = pathsFrom({ run: directory, state: directory, log: directory });
  const journal = new FileJournal({ directory: journalDir(paths), source: 'controller', node: 'a', bootId: 'boot-a', clock: systemClock });
  const link = { up: false, silent: false, blockers: [] as string[], forwarded: [] as unknown[] };
  const { container } = made;
  container.register(Journal, { useValue: journal });
  container.register(Random, { useValue: systemRandom });
  container.register(Link, {
    useValue: {
      connected: () => link.up,
      prepare: async () => {
        if (link.silent) throw new Error('b did not answer within 1000 ms');
        return { blockers: link.blockers };
      },
      forward: async (_node: string, forwarded: unknown) => void link.forwarded.push(forwarded),
    } as unknown as Link,
  });
  container.register(DesiredByNode, { useValue: { desiredOn: () => made.desired.state } });
  const explain = (events: readonly { incident?: string }[], incident?: string) =>
    events.some((event) => incident === undefined || event.incident === incident) ? { events: events.length } : null;
  container.register(ApiSources, { useValue: { journalDirectory: journalDir(paths), registry: { found: [] }, explain, alarms: () => [] } });
  const routes = container.resolve(Routes);
  const server = await serveApi(
    apiSocket(paths),
    (asked) => routes.answer(asked),
    SILENT,
    () => undefined,
  );
  t.teardown(async () => {
    await server.close();
    await journal.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { ...made, paths, journal, link, api: openApi(paths) };
};

test('status: the shape that --json promises, on the holder', async (t) => {
  const { api, hold, clock } = await served(t);
  await hold();
  await clock.advanceAsync(20);
  const { resources, standbys, ...status } = (await api.status()).groups[0]!;
  t.like(status, { id: 'g', state: 'online', active: 'a', epoch: 5, leaseRemainingMs: 1000, frozen: false });
  t.deepEqual(
    resources.map(({ since: _, ...rest }) => rest),
    [
      { id: 'vip', type: 'fake', node: 'a', state: 'online' },
      { id: 'app', type: 'fake', node: 'a', state: 'online' },
    ],
  );
  t.regex(resources[0]!.since!, /^2026-/);
  t.deepEqual(standbys, [{ node: 'b', ready: true, blockers: [] }]);
  t.like(await api.status(), {
    cluster: 'c',
    node: 'a',
    source: 'controller',
    arbiter: { state: 'ok', ageMs: 5 },
    mirrors: [],
    nodes: [
      { id: 'a', state: 'member' },
      { id: 'b', state: 'member', links: [{ network: 'heartbeat-1', state: 'up', rttMs: 0.2 }] },
    ],
  });
});

test('status on a standby: resources as the holder reports them, and how ready this node is', async (t) => {
  const { api, guard, say } = await served(t);
  await say(guard.setOrders('g', { frozen: true }));
  const [shown] = (await api.status()).groups;
  t.like(shown, {
    active: 'b',
    resources: [{ id: 'vip', node: 'b', state: 'online' }],
    standbys: [{ node: 'a', ready: false }],
    nextCommand: 'understudy unfreeze g',
  });

  guard.current = { ...guard.current, peers: guard.current.peers.map((peer) => ({ ...peer, state: 'lost' as const })) };
  await say(guard.current);
  t.like((await api.status()).groups[0]?.resources[0], {
    node: 'b',
    state: 'unknown',
    reason: 'b is lost; it was online by its last report',
  });
});

test('the controller is away: the guard answers for ownership; nobody there: NO_DAEMON', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-api-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const paths = pathsFrom({ run: directory, state: directory, log: directory });
  const api = openApi(paths);
  await t.throwsAsync(api.status(), { code: 'NO_DAEMON' });
  const view = { ...new FakeGuard(['g']).current, leases: [lease('g', { phase: 'held', holder: 'a', epoch: 5, remainingMs: 900 })] };
  const guard = await listenFramed(
    guardSocket(paths),
    (connection) => connection.onMessage((said) => (said as { t: string }).t === 'view?' && connection.send({ t: 'view', view })),
    () => undefined,
  );
  t.teardown(() => guard.close());
  t.like(await api.status(), { source: 'guard', groups: [{ id: 'g', active: 'a', epoch: 5, resources: [] }] });
  await t.throwsAsync(api.hooks('g'), { code: 'NO_DAEMON' });
});

test('a switchover: asked of the target, journaled, written as a move; with wait it ends when the target serves', async (t) => {
  const { api, hold, guard, say, link, journal } = await served(t);
  await hold();
  const moving = api.order({ verb: 'switchover', group: 'g', by: 'op', why: 'kernel', wait: true, timeoutMs: 5000 });
  await until('the order is written', () => guard.current.groupOrders['g']!.move !== null);
  const { move } = guard.current.groupOrders['g']!;
  t.like(move, { to: 'b', by: 'op', why: 'kernel' });
  await say(guard.view());
  await say(guard.setLease('g', { phase: 'observe', holder: null, record: 'released', successor: 'b' }));
  await say(guard.setLease('g', { phase: 'observe', holder: 'b', epoch: 6, record: 'held' }));
  t.like(await moving, { message: 'g is on b', incident: move!.id });
  await journal.sync();
  t.like((await api.events({ kind: 'order' }))[0], { group: 'g', because: 'kernel', data: { verb: 'switchover', by: 'op', to: 'b' } });
  t.is(link.forwarded.length, 0);
});

test('the arbiter is out of this node’s reach: a peer records the order; without a link the error stands', async (t) => {
  const { api, hold, guard, link } = await served(t);
  await hold();
  const { UnderstudyError } = await import('../../core/errors/errors.js');
  guard.orders = async () => {
    throw new UnderstudyError('ARBITER_UNREACHABLE', 'no answer from the arbiter');
  };
  await t.throwsAsync(api.order({ verb: 'freeze', group: 'g' }), { code: 'ARBITER_UNREACHABLE' });
  link.up = true;
  t.like(await api.order({ verb: 'freeze', group: 'g' }), { message: 'recorded' });
  t.like(link.forwarded[0], { key: 'group', set: { frozen: true } });
});

test('the target does not answer when asked once more: its report said ready, the move goes on', async (t) => {
  const { api, hold, link, guard } = await served(t);
  await hold();
  link.up = true;
  link.silent = true;
  await api.order({ verb: 'switchover', group: 'g', to: 'b' });
  t.true(guard.ordered.some((request) => request.key === 'group' && request.set.move?.to === 'b'));
});

test('the target says no when asked: refused before anything is written', async (t) => {
  const { api, hold, guard, link } = await served(t);
  await hold();
  link.up = true;
  link.blockers = ['its loop was held for 900 ms'];
  guard.ordered.length = 0;
  await t.throwsAsync(api.order({ verb: 'switchover', group: 'g', to: 'b' }), {
    code: 'REFUSED',
    message: /b is not ready: its loop was held/,
  });
  t.is(guard.ordered.length, 0);
});

test('waited for in vain: TIMED_OUT with the state it is in', async (t) => {
  const { api, hold, clock, guard } = await served(t);
  await hold();
  const asked = api.order({ verb: 'stop', group: 'g', wait: true, timeoutMs: 1000 }).catch((error: unknown) => error);
  await until('the order is written', () => guard.current.groupOrders['g']!.want === 'offline');
  await clock.advanceAsync(1100);
  await t.throwsAsync(
    asked.then((error) => Promise.reject(error)),
    { code: 'TIMED_OUT', message: /stop is recorded but not done after 1000 ms: g is/ },
  );
});

const refusals: [title: string, order: Record<string, unknown>, code: string, message: RegExp][] = [
  ['no such verb', { verb: 'swichover', group: 'g' }, 'USAGE', /no order "swichover".*switchover/],
  ['no such group', { verb: 'stop', group: 'orderz' }, 'NOT_FOUND', /no group "orderz"/],
  ['no group named', { verb: 'stop' }, 'USAGE', /stop needs a group/],
  ['no such node', { verb: 'standby', node: 'c' }, 'NOT_FOUND', /no node "c"/],
  ['a node that is not among the group’s', { verb: 'switchover', group: 'lonely', to: 'b' }, 'REFUSED', /b is not among its nodes \(a\)/],
  ['the only node', { verb: 'switchover', group: 'lonely' }, 'REFUSED', /it has no other node/],
  ['frozen', { verb: 'switchover', group: 'frozen', to: 'b' }, 'REFUSED', /it is frozen/],
  ['offline', { verb: 'switchover', group: 'free', to: 'b' }, 'REFUSED', /it runs nowhere/],
  ['a text that is none', { verb: 'stop', group: 7 }, 'USAGE', /"group" of an order must be a text/],
];

for (const [title, order, code, message] of refusals) {
  test(`refused: ${title}`, async (t) => {
    const only = [resource('app')];
    const groups = [
      group(only),
      group(only, { id: 'orders' }),
      group(only, { id: 'lonely', prefer: ['a'] }),
      group(only, { id: 'frozen' }),
      group(only, { id: 'free' }),
    ];
    const { api, guard, say } = await served(t, { groups });
    guard.setLease('lonely', { phase: 'held', holder: 'a', epoch: 5 });
    guard.setLease('frozen', { phase: 'held', holder: 'a', epoch: 5 });
    guard.setOrders('frozen', { frozen: true });
    await say(guard.setLease('free', { holder: null, record: 'released', successor: 'b' }));
    const error = await t.throwsAsync<Error & { code: string; hint: string }>(api.order(order as never), { code, message });
    t.not(error.hint, '');
  });
}

test('a node that is heard, or this one, is not taken as off; a silent one is, for the boot and epoch of the record', async (t) => {
  const only = [resource('app')];
  const { api, guard, say, paths } = await served(t, { groups: [group(only), group(only, { id: 'other' })] });
  const confirm = (node: string) => api.order({ verb: 'fence-confirm', node, confirm: node, by: 'kim', why: 'the plug is out' });
  guard.setLease('other', { holder: null, record: 'released' });
  await say(guard.setLease('g', { phase: 'observe', holder: 'b', holderBootId: 'boot-b', record: 'held', epoch: 7 }));
  await t.throwsAsync(confirm('b'), { code: 'REFUSED', message: /b is not taken as off: its heartbeats are heard/ } as never);
  await t.throwsAsync(confirm('a'), { code: 'REFUSED', message: /it is this node/ } as never);
  t.deepEqual(guard.confirmed, []);

  guard.current = { ...guard.current, peers: guard.current.peers.map((peer) => ({ ...peer, state: 'lost' as const })) };
  await say(guard.current);
  t.is((await confirm('b')).message, 'recorded');
  t.deepEqual(guard.confirmed, [
    { group: 'g', node: 'b', bootId: 'boot-b', forEpoch: 7, evidence: 'kim confirmed that it is off: the plug is out' },
  ]);
  const { value } = (await readJournal(journalDir(paths))).filter(({ kind }) => kind === 'order').map(({ data }) => ({ value: data }))[0]!;
  t.like(value, { verb: 'fence-confirm', by: 'kim', node: 'b' });

  await say(guard.setLease('g', { holder: null, record: 'released' }));
  t.regex((await confirm('b')).message, /b holds no group/);
});

test('fence: never this node, not a live holder unless forced; what is seen goes to the group that waits for that boot', async (t) => {
  const calls: string[] = [];
  const device = {
    fence: async ({ node, bootId }: { node: string; bootId: string }) => {
      calls.push(`${node} ${bootId}`);
      return { evidence: 'it is dark' };
    },
    check: async () => 'UnauthorizedOperation',
    close: async () => undefined,
  };
  const handle = { name: 'power', nodes: null, open: async () => ({ device, limitMs: 1000 }), close: async () => undefined };
  const { api, guard, say, container } = await served(t, { fence: { levels: [[handle]] } });
  container.resolve(FenceCheck).start();
  const fence = (node: string, more: object = {}) =>
    api.order({ verb: 'fence', node, confirm: node, by: 'kim', why: 'it smokes', wait: true, ...more });
  await say(guard.setLease('g', { phase: 'observe', holder: 'b', holderBootId: 'boot-b', record: 'held', epoch: 7 }));
  await t.throwsAsync(fence('b'), { code: 'REFUSED', message: /it is heard and holds g/ } as never);
  await t.throwsAsync(fence('a'), { code: 'REFUSED', message: /it is this node/ } as never);
  await t.throwsAsync(fence('b', { confirm: 'a' }), { code: 'USAGE', message: /fence needs the same name/ } as never);
  t.deepEqual(calls, []);
  t.is((await fence('b', { force: true })).message, 'b is off: power: it is dark');
  t.deepEqual(calls, ['b boot-b']);
  t.deepEqual(guard.confirmed, [{ group: 'g', node: 'b', bootId: 'boot-b', forEpoch: 7, evidence: 'power: it is dark' }]);
  const status = await api.status();
  t.true(status.alarms.includes('fence device power cannot be used: UnauthorizedOperation'));
  t.like(status.fences?.devices[0], { name: 'power', level: 1, trouble: 'UnauthorizedOperation' });
});

test('a move to where it is: no order, an answer', async (t) => {
  const { cycle, hold } = await world(t);
  await hold();
  const { already, requests } = checkOrder({ verb: 'switchover', group: 'g', to: 'a' }, cycle.last!, { by: '', why: '', moveId: 'm' });
  t.is(already, 'g is on a already');
  t.deepEqual(requests, []);
});

test('plan: a switchover is stops in reverse, the hand-over, starts in order, with every effect and hook', async (t) => {
  const hooks = [hook('beforeSwitchover', ['/opt/drain.sh', 'now'])];
  const { api, hold, agent } = await served(t, { groups: [group([resource('vip'), resource('app', ['vip'])], { hooks })] });
  await hold();
  agent.calls.length = 0;
  const plan = await api.plan('switchover', 'g', 'b');
  t.deepEqual(
    plan.steps.map(({ node, what }) => `${node}: ${what}`).filter((step) => !step.includes('note it')),
    [
      'a: run the beforeSwitchover hooks',
      'a: stop app',
      'a: stop vip',
      'a: release the lease',
      'b: acquire the lease',
      'b: start vip',
      'b: start app',
    ],
  );
  t.deepEqual(plan.steps.find(({ what }) => what === 'stop app')?.effects, [{ kind: 'process', what: 'stop app' }]);
  t.deepEqual(plan.steps[0]?.effects, [{ kind: 'command', what: '/opt/drain.sh now' }]);
  t.deepEqual(agent.calls, []);
  t.deepEqual(
    (await api.plan('stop', 'g')).steps.map(({ what }) => what),
    ['stop app', 'stop vip', 'release the lease'].flatMap((step) => (step === 'stop app' ? [step] : [step])),
  );
  t.deepEqual(
    (await api.plan('failover', 'g')).steps.filter(({ what }) => what.startsWith('start')).map(({ node }) => node),
    ['b', 'b'],
  );
  await t.throwsAsync(api.plan('failovr', 'g'), { code: 'USAGE', message: /failover/ });
});

test('a dry run of a world in which nothing is to do: no steps', async (t) => {
  const { cycle, hold, desired } = await world(t);
  await hold();
  t.deepEqual(
    dryRun(desired.state, { ...cycle.last!.observed, groups: { g: { ...cycle.last!.observed.groups['g']!, transition: null } } }).filter(
      ({ kind }) => kind !== 'orders',
    ),
    [],
  );
});

test('events: filtered, followed until the asker goes; explain and hooks; what is not there says so', async (t) => {
  const { api, journal, clock } = await served(t, { groups: [group([resource('app')], { hooks: [hook('onFault', ['/bin/true'])] })] });
  const end = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const { kind } of api.follow({ kind: 'lease' }, end.signal)) {
      seen.push(kind);
      end.abort();
    }
  })();
  await systemClock.sleep(150);
  journal.write({ kind: 'peer.lost' });
  journal.write({ kind: 'lease.held', incident: 'i1' });
  await journal.sync();
  await clock.advanceAsync(200);
  await following;
  t.deepEqual(seen, ['lease.held']);
  t.deepEqual(
    (await api.events({ limit: 1 })).map(({ kind }) => kind),
    ['lease.held'],
  );
  t.deepEqual(await api.explain(), { events: 2 });
  await t.throwsAsync(api.explain('i9'), { code: 'NOT_FOUND', message: /no incident "i9"/ });
  t.like(await api.hooks('g'), [{ point: 'onFault', position: 1, name: '/bin/true' }]);
  t.deepEqual(await api.plugins(), { plugins: [], quarantined: [] });
});

test('the socket is its owner’s alone, a second controller is refused, nonsense gets a coded error', async (t) => {
  const { paths } = await served(t);
  t.is(statSync(apiSocket(paths)).mode & 0o777, 0o600);
  await t.throwsAsync(
    serveApi(
      apiSocket(paths),
      async () => ({ value: 1 }),
      SILENT,
      () => undefined,
    ),
    { code: 'REFUSED' },
  );
  const raw = (method: string, path: string, body = '') =>
    new Promise<{ status: number; code: string }>((resolve, reject) => {
      const asking = request({ socketPath: apiSocket(paths), method, path }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, code: (JSON.parse(text) as { code: string }).code }));
      });
      asking.on('error', reject);
      asking.end(body);
    });
  t.deepEqual(await raw('GET', '/v2/status'), { status: 404, code: 'NOT_FOUND' });
  t.deepEqual(await raw('DELETE', '/v1/status'), { status: 404, code: 'NOT_FOUND' });
  t.deepEqual(await raw('POST', '/v1/orders', '{"verb'), { status: 400, code: 'USAGE' });
  t.deepEqual(await raw('POST', '/v1/orders', '[]'), { status: 400, code: 'USAGE' });
  t.deepEqual(await raw('GET', '/v1/hooks/nothing'), { status: 404, code: 'NOT_FOUND' });
  t.deepEqual(await raw('GET', '/v1/hooks/%ff'), { status: 400, code: 'USAGE' });
  t.deepEqual(await raw('POST', '/v1/orders', '['.repeat(60_000)), { status: 400, code: 'USAGE' });
  t.deepEqual(await raw('POST', '/v1/orders', `"${'x'.repeat(70_000)}"`), { status: 400, code: 'USAGE' });
});

const refusedOrders: [title: string, order: unknown, message: RegExp][] = [
  ['no object', [], /JSON object/],
  ['no verb', { group: 'g' }, /needs a verb/],
  ['a member that no order has', { verb: 'start', hurry: true }, /no member "hurry"/],
  ['a number for a name', { verb: 'start', group: 7 }, /"group" .* text/],
  ['an empty reason', { verb: 'start', why: '' }, /"why"/],
  ['a reason of a page', { verb: 'start', why: 'x'.repeat(1001) }, /1 to 1000/],
  ['a reason with a line of its own', { verb: 'start', why: 'ok\n2026 lease.held' }, /cannot be printed/],
  ['a reason that moves the cursor', { verb: 'start', by: 'kim\u001b[2J' }, /cannot be printed/],
  ['a reason that reads backwards', { verb: 'start', why: 'safe \u202e won' }, /cannot be printed/],
  ['a time that is none', { verb: 'start', timeoutMs: -1 }, /positive/],
];
for (const [title, order, message] of refusedOrders)
  test(`an order with ${title}: USAGE`, (t) => void t.throws(() => readOrder(order), { code: 'USAGE', message }));

test('fence confirm: only with the name typed once more, a reason and a name', async (t) => {
  const { api, journal } = await served(t);
  for (const order of [
    { verb: 'fence-confirm', node: 'b', by: 'kim', why: 'off' },
    { verb: 'fence-confirm', node: 'b', confirm: 'a', by: 'kim', why: 'off' },
    { verb: 'fence-confirm', node: 'b', confirm: 'b', by: 'kim' },
    { verb: 'fence-confirm', node: 'b', confirm: 'b', why: 'off' },
  ])
    await t.throwsAsync(api.order(order), { code: 'USAGE', message: /fence confirm needs/ });
  await journal.sync();
});

test('audit: what was asked for and what became of it, refusals too; a forced one only with its line on disk', async (t) => {
  const { api, hold, journal, paths } = await served(t);
  await hold();
  await api.order({ verb: 'freeze', group: 'g', by: 'kim', why: 'work' });
  await t.throwsAsync(api.order({ verb: 'freeze', group: 'nothing', by: 'mallory', why: 'x' }), { code: 'NOT_FOUND' });
  await journal.sync();
  const audit = (await readJournal(journalDir(paths))).filter(({ kind }) => kind.startsWith('audit.'));
  t.deepEqual(
    audit.map(({ kind, data }) => [kind, data?.['verb'], data?.['by'], data?.['code'], data?.['socketUid']]),
    [
      ['audit.done', 'freeze', 'kim', undefined, process.geteuid!()],
      ['audit.refused', 'freeze', 'mallory', 'NOT_FOUND', process.geteuid!()],
    ],
  );
});

test('audit: what was asked for in a way that cannot be read is on record too', async (t) => {
  const { journal, paths } = await served(t);
  const post = (path: string, body: string) =>
    new Promise<number>((resolve, reject) => {
      const asked = request({ socketPath: apiSocket(paths), method: 'POST', path }, (answer) => resolve(answer.resume().statusCode!));
      asked.on('error', reject);
      asked.end(body);
    });
  const bodies = [
    '{',
    '[]',
    '{"verb":"freeze","by":"a\\u001b[2J"}',
    '{"verb":"freeze","group":7}',
    '{"group":"g"}',
    `{"why":"${'x'.repeat(70_000)}"}`,
    '{"verb":"explode","by":"kim"}',
  ];
  for (const body of bodies) t.is(await post('/v1/orders', body), 400, body.slice(0, 60));
  t.is(await post('/v1/nothing', '{'), 404, 'what is no order is not audited');
  await journal.sync();
  const audit = (await readJournal(journalDir(paths))).filter(({ kind }) => kind.startsWith('audit.'));
  t.deepEqual(
    audit.map(({ kind, data }) => [kind, data?.['code'], data?.['by'], data?.['socketUid']]),
    bodies.map((body) => ['audit.refused', 'USAGE', body.includes('explode') ? 'kim' : undefined, process.geteuid!()]),
  );
  t.deepEqual(
    audit.map(({ because }) => because!.slice(0, 25)),
    [
      'the request is not JSON',
      'an order is a JSON object',
      '"by" of an order has a ch',
      '"group" of an order must ',
      'an order needs a verb',
      'the request is longer tha',
      'there is no order "explod',
    ],
  );
});

test('a client that says nothing, or never ends its headers, is let go', async (t) => {
  const { paths } = await served(t);
  const ended = (first: string) =>
    new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(apiSocket(paths), () => socket.write(first));
      socket.setTimeout(9000, () => reject(new Error('it was kept')));
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(text.split('\r\n')[0] ?? ''));
    });
  t.deepEqual(
    await Promise.all([
      ended('GET /v1/status HTTP/1.1\r\nx: '),
      ended(`GET /v1/status HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`),
      ended('\0\0\0'),
    ]),
    ['HTTP/1.1 408 Request Timeout', 'HTTP/1.1 431 Request Header Fields Too Large', 'HTTP/1.1 400 Bad Request'],
  );
});
