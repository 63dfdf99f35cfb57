import test from 'ava';
import { Link, type LinkHost, type LinkOptions } from '../../core/link/link.js';
import { secureNetwork } from '../../core/link/secure-socket.js';
import { linkMessage, type NodeReport } from '../../core/link/messages.js';
import type { OrdersRequest } from '../../core/guard/protocol.js';
import { systemClock } from '../../core/system/clock.js';
import { parseKeys } from '../../core/system/key-file.js';
import { systemRandom } from '../../core/system/random.js';
import { until } from '../support/until.js';
import { SILENT } from '../support/controller-world.js';

const keyLine = (id: number, seed: string) => `understudy-key-1 ${id} ${seed.repeat(8)}\n`;
const [GOOD, OTHER] = [keyLine(1, '0123abcd'), keyLine(1, 'deadbee7')];
let nextPort = 45_000 + (process.pid % 500) * 20;

const nodeAt = (name: string) => ({ a: ['127.0.0.11', '127.0.0.21'], b: ['127.0.0.12', '127.0.0.22'] })[name] ?? [];

const makeLink = (
  t: { teardown: (end: () => Promise<void>) => void },
  node: string,
  port: number,
  more: { key?: string; cluster?: string; own?: readonly string[]; host?: Partial<LinkHost> } = {},
) => {
  const other = node === 'a' ? 'b' : 'a';
  const options: LinkOptions = {
    network: secureNetwork(parseKeys(more.key ?? GOOD, 'test'), more.cluster ?? 'c', node),
    port,
    own: more.own ?? nodeAt(node),
    peers: { [other]: nodeAt(other) },
  };
  const self = { cluster: more.cluster ?? 'c', node, bootId: `boot-${node}`, runDir: '', logDir: '', platform: 'linux' as const };
  const link = new Link(options, self, systemClock, systemRandom, { child: () => SILENT });
  const state = { blockers: [] as string[] };
  const report = (): NodeReport => ({
    node,
    bootId: self.bootId,
    cfgHash: 'hash',
    groups: { g: { resources: { app: { state: 'online', reason: '' } }, blockers: state.blockers } },
  });
  const host: LinkHost = { report, order: async () => 'recorded', prepare: () => ({ blockers: state.blockers }), ...more.host };
  t.teardown(() => link.stop());
  return { link, host, state, start: () => link.start(host) };
};

for (const [title, one, other] of [
  ['b has the new key beside the old one', keyLine(1, '0123abcd'), keyLine(1, '0123abcd') + keyLine(2, 'deadbee7')],
  [
    'a signs with the old, b with the new',
    keyLine(1, '0123abcd') + keyLine(2, 'deadbee7'),
    keyLine(2, 'deadbee7') + keyLine(1, '0123abcd'),
  ],
  ['a has dropped the old one', keyLine(2, 'deadbee7'), keyLine(2, 'deadbee7') + keyLine(1, '0123abcd')],
] as const)
  test(`during a key rotation, ${title}: the link is up`, async (t) => {
    const port = (nextPort += 2);
    const [a, b] = [makeLink(t, 'a', port, { key: one }), makeLink(t, 'b', port, { key: other })];
    await b.start();
    await a.start();
    await until('both reports', () => a.link.of('b') !== null && b.link.of('a') !== null);
    t.pass();
  });

test('two controllers with one key: each has the report of the other, and a change comes at once', async (t) => {
  const port = (nextPort += 2);
  const [a, b] = [makeLink(t, 'a', port), makeLink(t, 'b', port)];
  t.is(a.link.of('b'), null);
  await b.start();
  await a.start();
  await until('both reports', () => a.link.of('b') !== null && b.link.of('a') !== null);
  t.like(a.link.of('b'), { cfgHash: 'hash', groups: { g: { blockers: [] } } });
  let told = 0;
  a.link.onChange(() => (told += 1));
  b.state.blockers = ['b is on standby'];
  const beganMs = systemClock.nowMs();
  b.link.reportIfChanged();
  await until('the change', () => a.link.of('b')?.groups['g']?.blockers.length === 1, 900);
  t.true(systemClock.nowMs() - beganMs < 500);
  t.true(told > 0);
});

test('asked: prepared or not, and an order is recorded by the other side, once', async (t) => {
  const port = (nextPort += 2);
  const orders: OrdersRequest[] = [];
  const a = makeLink(t, 'a', port);
  const b = makeLink(t, 'b', port, {
    host: {
      order: async (request) => {
        orders.push(request);
        if (orders.length > 1) throw new Error('the arbiter is silent');
        return 'recorded';
      },
    },
  });
  await Promise.all([a.start(), b.start()]);
  await until('the link', () => a.link.connected('b') && b.link.connected('a'));
  b.state.blockers = ['loop lag'];
  t.deepEqual(await a.link.prepare('b', 'g', 1000), { blockers: ['loop lag'] });
  const request: OrdersRequest = { key: 'node', node: 'b', set: { standby: true } };
  t.is(await a.link.forward('b', request, 1000), 'recorded');
  t.deepEqual(orders, [request]);
  await t.throwsAsync(a.link.forward('b', request, 1000), { code: 'REFUSED', message: 'the arbiter is silent' });
});

test('no link, or no answer in time: said at once, or at the deadline', async (t) => {
  const port = (nextPort += 2);
  const a = makeLink(t, 'a', port);
  await a.start();
  await t.throwsAsync(a.link.prepare('b', 'g', 1000), { message: 'there is no link to b' });
  const b = makeLink(t, 'b', port, { host: { order: () => new Promise(() => undefined) } });
  await b.start();
  await until('the link', () => a.link.connected('b'));
  await t.throwsAsync(a.link.forward('b', { key: 'node', node: 'b', set: {} }, 50), { code: 'TIMED_OUT' });
});

test('another key, or another cluster: no link', async (t) => {
  for (const more of [{ key: OTHER }, { cluster: 'other' }]) {
    const port = (nextPort += 2);
    const [a, b] = [makeLink(t, 'a', port), makeLink(t, 'b', port, more)];
    await Promise.all([a.start(), b.start()]);
    await systemClock.sleep(300);
    t.false(a.link.connected('b'));
    t.is(b.link.of('a'), null);
  }
});

test('the first network is down: the second is used; the other side ends: the link is down and comes back', async (t) => {
  const port = (nextPort += 2);
  const a = makeLink(t, 'a', port);
  const b = makeLink(t, 'b', port, { own: ['127.0.0.22'] });
  await Promise.all([a.start(), b.start()]);
  await until('the link by the second network', () => a.link.connected('b'));
  await b.link.stop();
  await until('the link is down', () => !a.link.connected('b'));
  const again = makeLink(t, 'b', port);
  await again.start();
  await until('the link is back', () => a.link.connected('b'));
  t.true(a.link.connected('b'));
});

test('what is not a message: left out, whatever it is', (t) => {
  for (const value of [
    null,
    1,
    'hello',
    [],
    {},
    { t: 'hello' },
    { t: 'report', report: { node: 'a' } },
    { t: 'order', id: 1, request: {} },
    { t: 'answer', id: 'x' },
    { t: 'unknown' },
  ])
    t.is(linkMessage(value), null);
});

test('a peer is heard as another boot: the half-open connection is given up at once, the good one is kept', async (t) => {
  const port = (nextPort += 2);
  const [a, b] = [makeLink(t, 'a', port), makeLink(t, 'b', port)];
  await b.start();
  await a.start();
  await until('both reports', () => a.link.of('b') !== null && b.link.of('a') !== null);
  a.link.bootsHeard([
    { node: 'b', bootId: 'boot-b' },
    { node: 'b', bootId: null },
    { node: 'x', bootId: 'boot-x' },
  ]);
  t.true(a.link.connected('b'));
  a.link.bootsHeard([{ node: 'b', bootId: 'boot-b2' }]);
  t.is(a.link.of('b'), null, 'what the old boot said says nothing about the new one');
  await until('it is given up', () => !a.link.connected('b'));
  // Nobody is there: refused at once, not after the time limit.
  await t.throwsAsync(a.link.prepare('b', 'g', 60_000), { message: /no link to b/ });
});
