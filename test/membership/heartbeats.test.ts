import test from 'ava';
import fc from 'fast-check';
import type { ClusterConfig } from '../../core/config/cluster-config.js';
import type { BeatGroup, Heartbeats, MembershipChange, Received } from '../../core/membership/contract.js';
import { createHeartbeats } from '../../core/membership/heartbeats.js';
import { systemSockets } from '../../core/membership/transport.js';
import { systemClock } from '../../core/system/clock.js';
import { systemRandom } from '../../core/system/random.js';
import { type Datagram, FakeHost, FakeNetwork } from '../support/fake-hosts.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 60);
const keys = { current: { id: 1, bytes: Buffer.alloc(32, 7) }, all: [{ id: 1, bytes: Buffer.alloc(32, 7) }] };
const configOf = (networks = 2, port = 4470, prefix = '10.0'): ClusterConfig =>
  ({
    cluster: 'orders',
    file: 'understudy.config.yaml',
    nodes: ['a', 'b'].map((id, index) => ({
      id,
      zone: null,
      networks: { service: null, mirror: [], heartbeat: [1, 2].slice(0, networks).map((n) => `${prefix}.${n}.${index + 1}`) },
    })),
    timing: { heartbeatMs: 40, suspectAfterMs: 220, takeoverWaitMs: 3000 },
    ports: { heartbeat: port },
  }) as unknown as ClusterConfig;

interface Node {
  readonly host: FakeHost;
  readonly heartbeats: Heartbeats;
  readonly changes: MembershipChange[];
  readonly received: Received[];
  readonly states: () => string[];
}

const group = (name: string, epoch = 1): BeatGroup => ({ group: name, epoch, seq: 5, version: '5', phase: 'held', stopped: false });

const startNode = async (
  network: FakeNetwork,
  id: string,
  { bootId = `boot-${id}`, networks = 2, groups = [group('db')] as readonly BeatGroup[], host = new FakeHost(network) } = {},
): Promise<Node> => {
  const heartbeats = createHeartbeats({
    config: configOf(networks),
    node: id,
    bootId,
    keys,
    clock: host.clock,
    random: systemRandom,
    sockets: host,
  });
  const changes: MembershipChange[] = [];
  const received: Received[] = [];
  heartbeats.onChange((change) => changes.push(change));
  heartbeats.onReceived((message) => received.push(message));
  heartbeats.describe(() => ({ cfgHash: 'cfg', groups }));
  await heartbeats.start();
  return { host, heartbeats, changes, received, states: () => changes.flatMap((change) => (change.kind === 'peer' ? [change.state] : [])) };
};

const pair = async (networks = 2) => {
  const network = new FakeNetwork();
  const a = await startNode(network, 'a', { networks });
  const b = await startNode(network, 'b', { networks });
  return { network, a, b };
};

test('two nodes: know each other after one round trip and a half, with links, round trips and what they say', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(3);
  t.deepEqual([a.states(), b.states()], [['member'], ['member']]);
  network.clock.advance(200);
  const [view] = a.heartbeats.peers();
  t.like(view, {
    node: 'b',
    state: 'member',
    bootId: 'boot-b',
    cfgHash: 'cfg',
    groups: [{ group: 'db', epoch: 1, phase: 'held', stopped: false }],
  });
  t.deepEqual(view?.links, [
    { network: 'heartbeat-1', state: 'up', rttMs: 2 },
    { network: 'heartbeat-2', state: 'up', rttMs: 2 },
  ]);
  t.true(a.received.every(({ from, bootId, message }) => from === 'b' && bootId === 'boot-b' && message.kind === 'beat'));
  t.deepEqual(Object.keys(a.heartbeats.dropped()), ['unknown-boot'], 'the first frames, before acquaintance');
});

test('what is known of a peer: its revision grows with every change and never with a beat that says the same', async (t) => {
  const network = new FakeNetwork();
  const a = await startNode(network, 'a');
  const b = await startNode(network, 'b');
  network.clock.advance(1_000);
  const { revision } = a.heartbeats;
  network.clock.advance(10_000);
  t.is(a.heartbeats.revision, revision);
  const says = async (groups: readonly BeatGroup[], grows: boolean, what: string) => {
    const before = a.heartbeats.revision;
    b.heartbeats.describe(() => ({ cfgHash: 'cfg', groups }));
    network.clock.advance(1_000);
    t.is(a.heartbeats.revision > before, grows, what);
    t.deepEqual(
      a.heartbeats.peers()[0]?.groups,
      groups.map(({ group: name, epoch, phase, stopped }) => ({ group: name, epoch, phase, stopped })),
    );
  };
  await says([{ ...group('db'), seq: 6, version: '6' }], false, 'a renewal');
  await says([{ ...group('db'), phase: 'releasing' }], true, 'another phase');
  await says([{ ...group('db'), phase: 'releasing' }, group('web')], true, 'one group more');
  await says([group('web')], true, 'one group less');
  const before = a.heartbeats.revision;
  await b.heartbeats.stop();
  network.clock.advance(1_000);
  t.true(a.heartbeats.revision > before, 'silence');
});

test('the peer falls silent: suspect after exactly suspectAfter, lost after W, steady kept for the takeover', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(60_000);
  await b.heartbeats.stop();
  network.clock.advance(2);
  const heardMs = network.clock.nowMs() - a.heartbeats.peers()[0]!.silentMs!;
  network.clock.advance(heardMs + 219.9 - network.clock.nowMs());
  t.deepEqual(a.states(), ['member']);
  network.clock.advance(0.2);
  t.deepEqual(a.states(), ['member', 'suspect']);
  t.true(a.heartbeats.steadyBeforeSilenceMs('b') > 59_000);
  network.clock.advance(3000);
  t.deepEqual(a.states(), ['member', 'suspect', 'lost']);
  t.true(a.heartbeats.steadyBeforeSilenceMs('b') > 59_000);
});

test('every third frame of one network is lost: said of that link while it lasts, and nobody is suspect', async (t) => {
  const { network, a, b } = await pair();
  const poor = (node: Node) => node.heartbeats.peers()[0]?.links.map((link) => link.poor?.replace(/:.*/, '') ?? null);
  network.clock.advance(30_000);
  let sent = 0;
  network.weather = ({ to }) => (to.startsWith('10.0.1.') && (sent += 1) % 3 === 0 ? [] : [1]);
  network.clock.advance(30_000);
  t.deepEqual(
    [poor(a), poor(b)],
    [
      ['b over heartbeat-1', null],
      ['a over heartbeat-1', null],
    ],
  );
  network.weather = () => [1];
  network.clock.advance(30_000);
  t.deepEqual(
    [poor(a), poor(b)],
    [
      [null, null],
      [null, null],
    ],
  );
  for (const node of [a, b]) {
    t.deepEqual(node.states(), ['member']);
    t.deepEqual(
      node.changes.flatMap((change) => (change.kind === 'quality' ? [[change.network, change.began]] : [])),
      [
        ['heartbeat-1', true],
        ['heartbeat-1', false],
      ],
    );
  }
});

test('frames take 30 ms each way: a round trip of 60 ms is said of both links', async (t) => {
  const { network, a } = await pair();
  network.weather = () => [30];
  network.clock.advance(30_000);
  for (const link of a.heartbeats.peers()[0]!.links)
    t.regex(link.poor ?? '', /round trip 60 ms; suspectAfter = 220 ms allows 5 missed beats/);
});

test('one network cut: its link down within 220 ms, back up after, the peer never suspect', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(1000);
  network.weather = ({ to }) => (to.startsWith('10.0.1.') ? [] : [1]);
  network.clock.advance(5000);
  network.weather = () => [1];
  network.clock.advance(100);
  for (const node of [a, b]) {
    t.deepEqual(node.states(), ['member']);
    t.deepEqual(
      node.changes.flatMap((change) => (change.kind === 'link' && change.network === 'heartbeat-1' ? [change.state] : [])),
      ['up', 'down', 'up'],
    );
  }
});

test('one-way cut of everything: only the deaf side suspects', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(1000);
  network.weather = ({ to }) => (to.endsWith('.1') ? [] : [1]);
  network.clock.advance(1000);
  t.deepEqual([a.states(), b.states()], [['member', 'suspect'], ['member']]);
});

for (const pauseMs of [50, 100, 400, 5000]) {
  test(`the observer is paused for ${pauseMs} ms at any moment of the beat: never a suspicion`, async (t) => {
    const { network, a } = await pair();
    network.clock.advance(1000);
    for (let phase = 0; phase < 40; phase += 7) {
      network.clock.advance(500 + phase);
      a.host.pause();
      network.clock.advance(pauseMs);
      a.host.resume();
      network.clock.advance(1);
    }
    network.clock.advance(500);
    t.deepEqual(a.states(), ['member']);
  });
}

test('any pauses of the observer, any delays below h, on one or two networks: never a suspicion', async (t) => {
  const pauses = fc.array(fc.tuple(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 1, max: 900 })), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(
      pauses,
      fc.integer({ min: 1, max: 2 }),
      fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 9 }),
      async (steps, networks, delays) => {
        const { network, a } = await pair(networks);
        let sent = 0;
        network.weather = () => [delays[(sent += 1) % delays.length]!];
        network.clock.advance(300);
        for (const [runMs, pauseMs] of steps) {
          network.clock.advance(runMs);
          a.host.pause();
          network.clock.advance(pauseMs);
          a.host.resume();
        }
        network.clock.advance(1000);
        t.deepEqual(a.states(), ['member']);
        t.deepEqual(
          a.changes.filter((change) => change.kind === 'link' && change.state !== 'up'),
          [],
        );
      },
    ),
    { numRuns },
  );
});

test('the peer dies while the observer is paused: suspect suspectAfter after the pause, not never', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(1000);
  await b.heartbeats.stop();
  network.clock.advance(30);
  a.host.pause();
  network.clock.advance(2000);
  a.host.resume();
  network.clock.advance(219);
  t.deepEqual(a.states(), ['member']);
  network.clock.advance(41);
  t.deepEqual(a.states(), ['member', 'suspect']);
});

test('a guard that restarts within one boot: goes on at once, no boot change, nothing it said before is taken again', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(1000);
  const recorded = network.sent.filter(({ from }) => from.endsWith('.2'));
  await b.heartbeats.stop();
  network.clock.advance(100);
  const again = await startNode(network, 'b');
  network.clock.advance(5);
  t.deepEqual(again.states(), ['member']);
  network.clock.advance(1000);
  const before = a.received.length;
  for (const datagram of recorded) network.inject(datagram);
  network.clock.advance(0);
  t.is(a.received.length, before);
  t.deepEqual(a.states(), ['member']);
  t.deepEqual(a.changes.filter(({ kind }) => kind === 'boot').length, 1);
});

test('the peer reboots: one boot change, its words of the old boot are forgotten', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(1000);
  await b.heartbeats.stop();
  await startNode(network, 'b', { bootId: 'boot-b2', groups: [] });
  network.clock.advance(10);
  t.deepEqual(
    a.changes.flatMap((change) => (change.kind === 'boot' ? [[change.from, change.to]] : [])),
    [
      [null, 'boot-b'],
      ['boot-b', 'boot-b2'],
    ],
  );
  t.like(a.heartbeats.peers()[0], { bootId: 'boot-b2', groups: [], state: 'member' });
  t.true(a.heartbeats.steadyBeforeSilenceMs('b') < 20);
});

test('recordings: of an old boot, of this boot, of the time before our restart: none ever becomes current or is believed', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(2000);
  const oldBoot: Datagram[] = network.sent.filter(({ from }) => from.endsWith('.2'));
  await b.heartbeats.stop();
  const b2 = await startNode(network, 'b', { bootId: 'boot-b2' });
  network.clock.advance(2000);
  const thisBoot = network.sent.filter(({ from }) => from.endsWith('.2')).slice(oldBoot.length);
  await b2.heartbeats.stop();
  network.clock.advance(4000);
  t.is(a.states().at(-1), 'lost');

  const inject = (datagrams: readonly Datagram[]) => {
    for (const datagram of datagrams) {
      network.inject(datagram);
      network.clock.advance(20);
    }
  };
  const [changes, received] = [a.changes.length, a.received.length];
  inject(oldBoot);
  inject(thisBoot);
  t.deepEqual([a.changes.length, a.received.length], [changes, received]);
  t.is(a.heartbeats.dropped()['replay'], thisBoot.length);

  await a.heartbeats.stop();
  const again = await startNode(network, 'a');
  inject([...oldBoot, ...thisBoot]);
  t.deepEqual([again.changes, again.received], [[], []]);
  t.is(again.heartbeats.dropped()['unknown-boot'], oldBoot.length + thisBoot.length);
});

test('duplicates and reordering: every message once', async (t) => {
  const { network, a, b } = await pair();
  let sent = 0;
  network.weather = () => [((sent += 1) * 13) % 35, 5, 30];
  network.clock.advance(500);
  a.received.length = 0;
  b.heartbeats.send('a', { kind: 'please-stop', group: 'db', epoch: 9 });
  network.clock.advance(40);
  const said = a.received.filter(({ message }) => message.kind === 'please-stop');
  t.deepEqual(said.map(({ network: over }) => over).sort(), ['heartbeat-1', 'heartbeat-2'], 'once over each network');
});

test('datagrams from strangers, over the wrong network, and a flood: counted, nothing believed', async (t) => {
  const { network, a } = await pair();
  network.clock.advance(1000);
  const genuine = network.sent.findLast(({ to }) => to === '10.0.1.1')!;
  const before = { ...a.heartbeats.dropped() };
  network.inject({ ...genuine, from: '10.0.9.9' });
  network.inject({ ...genuine, from: '10.0.2.2', to: '10.0.2.1' });
  for (let n = 0; n < 5000; n++) network.inject({ ...genuine, bytes: Buffer.alloc(200, n) });
  network.clock.advance(1);
  const dropped = a.heartbeats.dropped();
  t.is(dropped['unknown-source'], 1);
  t.is(dropped['wrong-network'], 1);
  t.true(dropped['not-ours']! <= 410 && dropped['too-many']! >= 4590);
  t.is(dropped['replay'], before['replay']);
  network.clock.advance(1000);
  t.deepEqual(a.states(), ['member']);
});

test('many groups: a beat in parts, the view has them all, and none too many when they become fewer', async (t) => {
  const network = new FakeNetwork();
  const groups = Array.from({ length: 70 }, (_, n) => group(`group-${n}`, n));
  const a = await startNode(network, 'a');
  const b = await startNode(network, 'b', { groups });
  network.clock.advance(100);
  t.deepEqual(
    a.heartbeats
      .peers()[0]!
      .groups.map(({ group: name }) => name)
      .sort(),
    groups.map(({ group: name }) => name).sort(),
  );
  b.heartbeats.describe(() => ({ cfgHash: 'cfg', groups: groups.slice(0, 3) }));
  network.clock.advance(100);
  t.is(a.heartbeats.peers()[0]!.groups.length, 3);
});

test('stopped: no timer, no socket is left, and nothing is said any more', async (t) => {
  const { network, a, b } = await pair();
  network.clock.advance(1000);
  await Promise.all([a.heartbeats.stop(), b.heartbeats.stop()]);
  network.clock.advance(5);
  const sent = network.sent.length;
  network.clock.advance(5000);
  t.is(network.sent.length, sent);
  t.is(network.clock.pendingTimers, 0);
});

test('a node that is not in the config, an address that is a name: refused', (t) => {
  const host = new FakeHost(new FakeNetwork());
  const make = (node: string, config: ClusterConfig) =>
    createHeartbeats({ config, node, bootId: 'x', keys, clock: host.clock, random: systemRandom, sockets: host });
  t.throws(() => make('z', configOf()), { code: 'NODE_UNKNOWN' });
  t.throws(() => make('a', configOf(2, 4470, 'localhost')), { code: 'CONFIG_INVALID', message: /look no names up/ });
});

test('real sockets: two nodes on loopback know each other; a taken or foreign address is refused', async (t) => {
  const config = configOf(2, 20_000 + (process.pid % 20_000), `127.${61 + (process.pid % 50)}`);
  const nodes = ['a', 'b'].map((node) =>
    createHeartbeats({ config, node, bootId: `boot-${node}`, keys, clock: systemClock, random: systemRandom, sockets: systemSockets }),
  );
  const met = nodes.map(
    (heartbeats) =>
      new Promise<void>((resolve) => heartbeats.onChange((change) => change.kind === 'peer' && change.state === 'member' && resolve())),
  );
  t.teardown(() => Promise.all(nodes.map((heartbeats) => heartbeats.stop())));
  for (const heartbeats of nodes) await heartbeats.start();
  await Promise.all(met);
  const rival = createHeartbeats({
    config,
    node: 'a',
    bootId: 'rival',
    keys,
    clock: systemClock,
    random: systemRandom,
    sockets: systemSockets,
  });
  await t.throwsAsync(rival.start(), { code: 'CONFIG_INVALID', message: /EADDRINUSE/ });
  await t.throwsAsync(systemSockets.open('192.0.2.77', config.ports.heartbeat, { onMessage: () => {}, onError: () => {} }), {
    message: /EADDRNOTAVAIL/,
  });
  await t.throwsAsync(systemSockets.open('localhost', 1, { onMessage: () => {}, onError: () => {} }), { message: /numeric/ });
});
