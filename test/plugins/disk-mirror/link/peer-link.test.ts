// The link over real sockets on loopback addresses: who gets in, which connection is used, what happens when a way fails.
// One after the other, for they run against real time.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import test from 'ava';
import { systemClock } from 'understudy/plugin';
import { encodeFrame } from '../../../../plugins/disk-mirror/link/encode-frame.js';
import { insecureNetwork } from '../../../../plugins/disk-mirror/link/peer-network.js';
import type { LinkPath, PeerLinkOptions } from '../../../../plugins/disk-mirror/link/link-options.js';
import { until } from '../../../support/until.js';
import { direct, End, IDENTITY, KEYS, nextNet, PORT, secureFor, wired } from './link-pair.js';

const together = async (
  paths: { a: LinkPath[]; b: LinkPath[] },
  body: (a: End, b: End) => Promise<void>,
  more: Partial<PeerLinkOptions> = {},
) => {
  const ends = [new End('a', 'b', paths.a, more), new End('b', 'a', paths.b, more)] as const;
  try {
    for (const { link } of ends) link.start();
    await body(...ends);
  } finally {
    await Promise.all(ends.map(({ link }) => link.close()));
  }
};

const up = (a: End, b: End) => until('both are up', () => a.link.path() !== null && b.link.path() !== null);

for (const [name, secure] of [
  ['plain', null],
  ['TLS', secureFor],
] as const)
  test.serial(`${name}: frames of all sizes, both ways, in order and whole`, async (t) => {
    const { a: pathA, b: pathB } = direct(nextNet());
    // Patient: how long a busy machine keeps a process waiting is not asked here.
    const more = (node: string, peer: string) => ({
      deadMs: 20_000,
      connectMs: 5000,
      ...(secure === null ? {} : { network: secure(node, peer) }),
    });
    const ends = [new End('a', 'b', [pathA], more('a', 'b')), new End('b', 'a', [pathB], more('b', 'a'))] as const;
    for (const { link } of ends) link.start();
    await up(...ends);
    const sizes = [512, 4096, 1, 65_536, 3 * 1024 * 1024 + 512, 4096, 200_000, 0, 512];
    const sent = sizes.map((size, seq) => ({ t: 'write', epoch: 1, seq, offset: 512 * seq, bytes: randomBytes(size) }) as const);
    for (const { link } of ends) for (const frame of sent) t.true(link.send(frame));
    for (const { frames, link } of ends) {
      await until('all arrived', () => frames.length === sent.length);
      for (const [at, frame] of frames.entries()) {
        const { seq, bytes } = frame as (typeof sent)[number];
        t.is(seq, at);
        t.true(sent[at]?.bytes.equals(bytes), `payload ${at}`);
        link.recycle(bytes);
      }
      await until('nothing waits', () => link.queuedBytes() === 0);
    }
    await Promise.all(ends.map(({ link }) => link.close()));
    t.deepEqual(ends[0].events, ['up 1 mirror', 'down 1 the link was closed']);
    t.is(ends[1].up, 0);
  });

test.serial('both ends dial: one connection is used, whatever the order', async (t) => {
  for (let round = 0; round < 12; round += 1) {
    const { a, b } = direct(nextNet());
    await together({ a: [a], b: [b] }, async (one, other) => {
      if (round % 3 === 1) other.link.reconnect();
      if (round % 3 === 2) {
        one.link.reconnect();
        other.link.reconnect();
      }
      await up(one, other);
      t.true(one.link.send({ t: 'flush', epoch: 1, seq: round }));
      await until('the frame came', () => other.frames.length === 1);
      await systemClock.sleep(20);
      t.deepEqual(one.events, ['up 1 mirror']);
      t.deepEqual(other.events, ['up 1 mirror']);
    });
  }
});

test.serial('the better path is not there: the next is taken', async (t) => {
  const [dead, good] = [direct(nextNet(), 'mirror'), direct(nextNet(), 'heartbeat')];
  // Nobody listens at the peer's mirror addresses.
  const lost = (path: LinkPath): LinkPath => ({ ...path, peerAddress: path.peerAddress.replace(/\d+$/, '77') });
  await together({ a: [lost(dead.a), good.a], b: [lost(dead.b), good.b] }, async (a, b) => {
    await up(a, b);
    t.is(a.link.path(), 'heartbeat');
    t.is(b.link.path(), 'heartbeat');
  });
});

test.serial('a path goes silent: noticed at both ends within its time, the other path takes over, down before up', async (t) => {
  const [one, two] = [await wired(nextNet(), 'mirror'), await wired(nextNet(), 'heartbeat')];
  t.teardown(() => Promise.all([one.wire.close(), two.wire.close()]).then(() => {}));
  await together({ a: [one.a, two.a], b: [one.b, two.b] }, async (a, b) => {
    await up(a, b);
    t.is(a.link.path(), 'mirror');
    const sinceMs = systemClock.nowMs();
    one.wire.silence();
    await until('both noticed', () => [a, b].every(({ events }) => events.some((event) => event.startsWith('down'))));
    t.true(systemClock.nowMs() - sinceMs < 9000, 'dead after 400 ms in which this process ran');
    await until('both are on the other path', () => a.link.path() === 'heartbeat' && b.link.path() === 'heartbeat');
    for (const { events } of [a, b]) {
      t.regex(events[1] ?? '', /^down 1 /);
      t.is(events[2], 'up 2 heartbeat');
    }
    t.true([...a.events, ...b.events].includes('down 1 nothing was heard for 400 ms'));
  });
});

test.serial('reset again and again: the link comes back, and never dials in a hot loop', async (t) => {
  const { a: pathA, b: pathB, wire } = await wired(nextNet());
  await together({ a: [pathA], b: [pathB] }, async (a, b) => {
    for (let times = 1; times <= 4; times += 1) {
      await until('both are up', () => a.events.filter((event) => event.startsWith('up')).length >= times && a.up === 1 && b.up === 1);
      wire.reset();
      await until('both are down', () => a.up === 0 && b.up === 0);
    }
    await up(a, b);
    for (const { events } of [a, b]) for (const [at, event] of events.entries()) t.regex(event, at % 2 === 0 ? /^up / : /^down /);
    wire.silence();
    await until('silent', () => a.link.path() === null && b.link.path() === null);
    const before = wire.connections;
    await systemClock.sleep(1000);
    t.true(wire.connections - before <= 24, `${wire.connections - before} attempts in a second`);
  });
  await wire.close();
});

test.serial('the peer starts anew while its old connection still looks alive: given up at once for the new one', async (t) => {
  const { a: pathA, b: pathB, wire } = await wired(nextNet());
  const patient = { deadMs: 60_000, pingMs: 20_000 };
  const a = new End('a', 'b', [pathA], patient);
  const first = new End('b', 'a', [pathB], patient);
  a.link.start();
  first.link.start();
  await up(a, first);
  wire.silence(); // The end of what is on the wire now is told to nobody.
  await first.link.close();
  wire.speak();
  const second = new End('b', 'a', [pathB], patient);
  second.link.start();
  await until('both are up', () => a.events.includes('up 2 mirror') && second.up === 1);
  t.deepEqual(a.events, ['up 1 mirror', 'down 1 the peer has started anew', 'up 2 mirror']);
  await Promise.all([a.link.close(), second.link.close(), wire.close()]);
});

test.serial('the other end alone knows that the connection is dead: it dials, and a ping decides', async (t) => {
  const { a: pathA, b: pathB, wire } = await wired(nextNet());
  const a = new End('a', 'b', [pathA], { deadMs: 2400, pingMs: 1000 });
  const b = new End('b', 'a', [pathB]);
  a.link.start();
  b.link.start();
  await up(a, b);
  wire.silence();
  await until('b has noticed', () => b.up === 0);
  t.is(a.up, 1, 'a has not');
  wire.speak();
  await until('both are up', () => a.events.includes('up 2 mirror') && b.up === 1);
  t.regex(a.events[1] ?? '', /^down 1 (it answered no ping|nothing was heard)/);
  await Promise.all([a.link.close(), b.link.close(), wire.close()]);
});

test.serial('dropped for good: this end dials no more, and answers when the peer does; reconnect ends it', async (t) => {
  const { a: pathA, b: pathB } = direct(nextNet());
  await together({ a: [pathA], b: [pathB] }, async (a, b) => {
    await up(a, b);
    let said = false;
    a.onUp = () => {
      said = true;
    };
    b.link.drop('split', true);
    t.false(b.link.send({ t: 'flush', epoch: 1, seq: 1 }), 'nothing is sent any more');
    t.is(b.events.length, 1, 'down comes after the call returned');
    a.link.drop('split', true);
    await until('down', () => a.up === 0 && b.up === 0);
    await systemClock.sleep(600);
    t.is(a.link.path(), null);
    t.false(said);
    b.link.reconnect();
    await up(a, b);
    t.deepEqual(b.events, ['up 1 mirror', 'down 1 split', 'up 2 mirror']);
  });
});

test.serial('another key, volume, node or protocol: nobody gets in, and it is said why', async (t) => {
  const wrongKey = { current: { id: 1, bytes: new Uint8Array(32).fill(5) }, all: [{ id: 1, bytes: new Uint8Array(32).fill(5) }] };
  const cases: [what: string, network: PeerLinkOptions['network'] | null, more: Partial<PeerLinkOptions>, reason: RegExp][] = [
    ['key', secureFor('b', 'a', wrongKey), {}, /handshake|binder/],
    ['volume', secureFor('b', 'a', KEYS, { ...IDENTITY, volume: 'other' }), {}, /handshake|binder/],
    ['node', secureFor('x', 'a'), { self: { ...IDENTITY, node: 'x' } }, /handshake|binder|node x/],
    ['name under the right key', secureFor('b', 'a'), { self: { ...IDENTITY, node: 'x' } }, /node x called, the peer of this volume is b/],
    ['volume under the right key', secureFor('b', 'a'), { self: { ...IDENTITY, node: 'b', volume: 'other' } }, /speaks for volume other/],
  ];
  for (const [what, network, more, reason] of cases) {
    const { a: pathA, b: pathB } = direct(nextNet());
    const a = new End('a', 'b', [pathA], { network: secureFor('a', 'b') });
    const b = new End('b', 'a', [pathB], { ...(network === null ? {} : { network }), ...more });
    a.link.start();
    b.link.start();
    await until(`${what}: refused`, () => a.told.some((line) => reason.test(line)) || b.told.some((line) => reason.test(line)));
    await systemClock.sleep(100);
    t.deepEqual([a.events, b.events], [[], []], what);
    await Promise.all([a.link.close(), b.link.close()]);
  }
});

test.serial('a key is being replaced: old and new are both let in', async (t) => {
  const next = { id: 2, bytes: new Uint8Array(32).fill(8).map((byte, at) => byte + at) };
  const { a: pathA, b: pathB } = direct(nextNet());
  const a = new End('a', 'b', [pathA], { network: secureFor('a', 'b', { current: KEYS.current, all: [KEYS.current, next] }) });
  const b = new End('b', 'a', [pathB], { network: secureFor('b', 'a', { current: next, all: [next, KEYS.current] }) });
  a.link.start();
  b.link.start();
  await up(a, b);
  t.is(a.link.path(), 'mirror');
  await Promise.all([a.link.close(), b.link.close()]);
});

test.serial('not encrypted: on loopback addresses only', (t) => {
  t.notThrows(() => insecureNetwork(['127.0.0.1', '::1']));
  for (const address of ['10.0.0.1', '0.0.0.0', 'fe80::1', 'localhost', '127.example'])
    t.throws(() => insecureNetwork(['127.0.0.1', address]), { code: 'REFUSED', message: new RegExp(address.replace('.', '\\.')) });
});

for (const [name, network] of [
  ['plain', null],
  ['TLS', secureFor('a', 'b')],
] as const)
  test.serial(`${name}: from an address that is not the peer’s: sent away unheard`, async (t) => {
    const net = nextNet();
    const { a: pathA } = direct(net);
    const a = new End('a', 'b', [pathA], network === null ? {} : { network });
    a.link.start();
    const heard: Buffer[] = [];
    const called = () =>
      new Promise<void>((resolve) => {
        const stranger = connect({ host: `${net}1`, port: PORT, localAddress: `${net}66` }, () => stranger.write('\x16\x03\x01'));
        stranger.on('data', (piece) => heard.push(piece));
        stranger.on('error', () => {});
        stranger.on('close', () => resolve());
      });
    await until('said', async () => {
      await called();
      return a.told.some((line) => line.includes(`came from ${net}66`));
    });
    t.deepEqual(heard, []);
    t.deepEqual(a.events, []);
    await a.link.close();
  });

test.serial('a peer that reads nothing: what waits for it is bounded, then the connection ends', async (t) => {
  const { a: pathA, b: pathB, wire } = await wired(nextNet());
  const maxQueuedBytes = 4 * 1024 * 1024;
  await together(
    { a: [pathA], b: [pathB] },
    async (a, b) => {
      await up(a, b);
      wire.silence();
      const bytes = Buffer.alloc(1024 * 1024);
      let most = 0;
      let sent = 0;
      // The wire goes on reading and drops it, so a socket that takes nothing is made by never yielding to the loop.
      while (a.link.send({ t: 'write', epoch: 1, seq: (sent += 1), offset: 0, bytes })) most = Math.max(most, a.link.queuedBytes());
      t.true(most <= maxQueuedBytes, `${most} bytes waited`);
      t.is(sent, 4, 'four fit, the fourth with its header no more');
      await until('it ended', () => a.events.some((event) => event.includes('does not take what is sent')));
    },
    { maxQueuedBytes },
  );
  await wire.close();
});

test.serial(
  'nonsense from the peer’s address: each connection ends with a reason, memory stays bounded, the peer still gets in',
  async (t) => {
    const net = nextNet();
    const { a: pathA, b: pathB } = direct(net);
    const a = new End('a', 'b', [pathA]);
    a.link.start();
    const good = encodeFrame({ t: 'write', epoch: 1, seq: 1, offset: 0, bytes: new Uint8Array(65_536) });
    const nonsense = Buffer.concat([good.header, good.payload ?? new Uint8Array(0), randomBytes(192 * 1024)]);
    let thrownBytes = 0;
    let going = true;
    const rssBefore = process.memoryUsage().rss;
    const thrower = async () => {
      while (going)
        await new Promise<void>((resolve) => {
          const socket = connect({ host: `${net}1`, port: PORT, localAddress: `${net}2` }, () => socket.write(nonsense));
          thrownBytes += nonsense.length;
          socket.on('error', () => {});
          socket.on('close', () => resolve());
        });
    };
    const throwers = [thrower(), thrower(), thrower(), thrower()];
    const sinceMs = systemClock.nowMs();
    await until('24 MiB were thrown', () => thrownBytes > 24 * 1024 * 1024, 30_000);
    t.log(`24 MiB in ${Math.round(systemClock.nowMs() - sinceMs)} ms`);
    const b = new End('b', 'a', [pathB]);
    b.link.start();
    await up(a, b);
    t.true(process.memoryUsage().rss - rssBefore < 256 * 1024 * 1024);
    going = false;
    await Promise.all(throwers);
    t.deepEqual(a.events, ['up 1 mirror']);
    await Promise.all([a.link.close(), b.link.close()]);
  },
);
