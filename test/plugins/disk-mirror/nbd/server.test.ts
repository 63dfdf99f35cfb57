// The whole server over real sockets: what a client on this host sees of it.
import { mkdtempSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from 'understudy/plugin';
import { type NbdServerOptions, startNbdServer } from '../../../../plugins/disk-mirror/nbd/server.js';
import { MemoryExport } from '../../../support/memory-export.js';
import { until } from '../../../support/until.js';
import { COMMAND, info, OPTION, option, readReplies, request, u32 } from '../../../support/nbd-bytes.js';

const serve = async (t: ExecutionContext, served: MemoryExport, options: Partial<NbdServerOptions> = {}) => {
  const path = join(mkdtempSync(join(tmpdir(), 'nbd-')), 'private', 'vol.sock');
  const events: string[] = [];
  const server = await startNbdServer({
    exports: [served],
    address: { kind: 'unix', path },
    clock: systemClock,
    tell: (event) => events.push(event.kind === 'client' ? `client ${event.there}` : `${event.kind}: ${event.because}`),
    ...options,
    limits: { graceMs: 30, lingerMs: 100, ...options.limits },
  });
  t.teardown(() => server.shutDown());
  return { path, server, events };
};

/** A client that gathers what comes. */
const client = (path: string, socket: Socket = connect(path)) => {
  const chunks: Buffer[] = [];
  let [wanted, wake, closed] = [0, () => {}, false];
  const check = () => {
    if (closed || chunks.reduce((sum, { length }) => sum + length, 0) >= wanted) wake();
  };
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    check();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
    check();
  });
  const bytes = async (count: number): Promise<Buffer> => {
    wanted = count;
    await new Promise<void>((resolve) => {
      wake = resolve;
      check();
    });
    const all = Buffer.concat(chunks.splice(0));
    if (all.length > count) chunks.push(all.subarray(count));
    return all.subarray(0, count);
  };
  return {
    socket,
    bytes,
    send: (...parts: Buffer[]) => void socket.write(Buffer.concat(parts)),
    closed: () => bytes(Number.POSITIVE_INFINITY),
    /** Into the session, with simple replies. */
    go: async (): Promise<string> => {
      await bytes(18);
      socket.write(Buffer.concat([u32(3), option(OPTION.go, info('vol'))]));
      // Information on the export and an acknowledgement, or an error with its text.
      const head = await bytes(20);
      if (head.length < 20) return 'closed';
      const rest = await bytes(head.readUInt32BE(16) + (head.readUInt32BE(12) === 3 ? 20 : 0));
      return head.readUInt32BE(12) === 3 ? `size ${rest.readBigUInt64BE(2)}` : rest.toString();
    },
  };
};

for (const direct of [true, false]) {
  const how = direct ? 'received directly' : 'received through streams';

  test(`a client writes and reads, ${how}: the bytes are there`, async (t) => {
    const served = new MemoryExport({ sizeBytes: 4 << 20 });
    const { path } = await serve(t, served, { direct });
    const one = client(path);
    await one.go();
    const data = Buffer.alloc(3 << 20, 'a text that is not as long as a power of two');
    one.send(
      request(COMMAND.write, { cookie: 1, offset: 512, data }),
      request(COMMAND.write, { cookie: 2, offset: 0, data: Buffer.from('begin') }),
    );
    t.deepEqual(
      readReplies(await one.bytes(32)).map(({ cookie }) => cookie),
      [1, 2],
    );
    one.send(request(COMMAND.read, { cookie: 3, offset: 0, length: 4 << 20 }));
    const read = readReplies(await one.bytes(16 + (4 << 20)), () => 4 << 20)[0]?.data;
    t.true(read?.equals(served.bytes));
    t.is(read?.toString('latin1', 0, 5), 'begin');
    t.true(read?.subarray(512, 512 + data.length).equals(data));
    one.send(request(COMMAND.disconnect));
    t.is((await one.closed()).length, 0);
  });
}

const b = (text: string): Buffer => Buffer.from(text);

test('a second client: refused with the reason, the first is not disturbed; when the first is gone, the next gets in', async (t) => {
  const served = new MemoryExport();
  const { path } = await serve(t, served);
  const first = client(path);
  await first.go();
  const second = client(path);
  t.regex(await second.go(), /another client/);
  first.send(request(COMMAND.write, { cookie: 5, data: b('abcd') }));
  t.is(readReplies(await first.bytes(16))[0]?.cookie, 5);
  // The refused one may ask again on its old connection.
  first.socket.destroy();
  second.socket.write(option(OPTION.go, info('vol')));
  const head = await second.bytes(20);
  t.is(head.readUInt32BE(12), 3);
  await until('the second is attached', () => served.attachments.length === 3);
  t.deepEqual(served.attachments, [true, false, true]);
});

test('a client that died with requests under way: the next one waits until the export has answered them', async (t) => {
  const answers: (() => void)[] = [];
  const served = new MemoryExport({ answer: (run) => answers.push(run) });
  const { path } = await serve(t, served);
  const first = client(path);
  await first.go();
  first.send(request(COMMAND.write, { data: b('old!') }));
  await until('the write is at the export', () => answers.length === 1);
  first.socket.destroy();
  const second = client(path);
  let entered = false;
  const size = second.go().then((said) => {
    entered = true;
    return said;
  });
  await systemClock.sleep(100);
  t.false(entered, 'longer than the grace, and it still waits');
  answers.pop()?.();
  t.is(await size, 'size 65536');
  t.is(served.bytes.toString('latin1', 0, 4), 'old!');
});

test('the export grew: a new client sees it, the one that is there keeps what it was told', async (t) => {
  const served = new MemoryExport({ sizeBytes: 4096 });
  const { path } = await serve(t, served);
  const first = client(path);
  t.is(await first.go(), 'size 4096');
  served.grow(8192);
  first.send(request(COMMAND.read, { offset: 4096, length: 1 }));
  t.is((await first.bytes(16)).readUInt32BE(4), 22);
  first.send(request(COMMAND.disconnect));
  await first.closed();
  t.is(await client(path).go(), 'size 8192');
});

test('a handshake that does not end: cut off at its deadline; one too many: the oldest gives way', async (t) => {
  const { path, events } = await serve(t, new MemoryExport(), { limits: { handshakeMs: 1500, connections: 3 } });
  const slow = [client(path), client(path), client(path)];
  for (const one of slow) await one.bytes(18);
  const began = systemClock.nowMs();
  t.is(await client(path).go(), 'size 65536');
  await Promise.all(slow.map(({ closed }) => closed()));
  await until('all are closed', () => events.filter((event) => event.startsWith('closed')).length === 3);
  t.deepEqual(events.filter((event) => event.startsWith('closed')).toSorted(), [
    'closed: the handshake took too long',
    'closed: the handshake took too long',
    'closed: too many connections: the oldest handshake gives way',
  ]);
  t.true(systemClock.nowMs() - began < 10_000);
});

test('shutdown: who waits is told ESHUTDOWN, who shakes hands is told too, nobody gets in any more', async (t) => {
  const served = new MemoryExport({ answer: () => {} });
  const { path, server } = await serve(t, served, { limits: { graceMs: 20_000, lingerMs: 20_000 } });
  const first = client(path);
  await first.go();
  first.send(request(COMMAND.write, { cookie: 9, data: b('abcd') }));
  await until('the write is at the export', () => served.asked.length === 1);
  const waiting = client(path);
  const refused = waiting.go();
  const shaking = client(path);
  await shaking.bytes(18);
  const end = server.shutDown();
  t.is((await first.bytes(16)).readUInt32BE(4), 108);
  t.regex(await refused, /ending/);
  shaking.send(u32(3), option(OPTION.list));
  t.is((await shaking.bytes(20)).readUInt32BE(12), 0x8000_0007);
  first.send(request(COMMAND.flush, { cookie: 10 }));
  t.is((await first.bytes(16)).readUInt32BE(4), 108);
  for (const { socket } of [first, waiting, shaking]) socket.destroy();
  t.deepEqual(await end, { underWay: 1 });
  await t.throwsAsync(new Promise((_, reject) => connect(path).once('error', reject)));
});

test('shutdown, and clients that do not go: cut off', async (t) => {
  const { path, server, events } = await serve(t, new MemoryExport());
  const [first, shaking] = [client(path), client(path)];
  await first.go();
  await shaking.bytes(18);
  t.deepEqual(await server.shutDown(), { underWay: 0 });
  t.deepEqual(events.slice(-3).toSorted(), [
    'client false',
    ...Array.from({ length: 2 }, () => 'closed: it did not go when it was told to'),
  ]);
});

test('a client that does not read: it is not read either, and memory stays bounded', async (t) => {
  const served = new MemoryExport({ sizeBytes: 1 << 20 });
  const { path } = await serve(t, served, { limits: { bytes: 1 << 20, requests: 16 } });
  const one = client(path);
  await one.go();
  one.socket.pause();
  for (let cookie = 0; cookie < 100; cookie += 1) one.send(request(COMMAND.read, { cookie, length: 1 << 18 }));
  await systemClock.sleep(200);
  // Four are let in at a time; the kernel holds a little.
  t.true(served.asked.length < 12, `${served.asked.length} reads`);
  one.socket.resume();
  const all = await one.bytes(100 * (16 + (1 << 18)));
  t.deepEqual(
    readReplies(all, () => 1 << 18).map(({ cookie }) => cookie),
    Array.from({ length: 100 }, (_, cookie) => cookie),
  );
});

const PSK = Buffer.alloc(32, 5);

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion} with a shared key: required, agreed on, and the session inside`, async (t) => {
    const served = new MemoryExport();
    const { path } = await serve(t, served, {
      tls: { kind: 'psk', required: true, keyOf: (identity) => (identity === 'kim' ? PSK : null) },
    });
    const plain = client(path);
    t.regex(await plain.go(), /TLS only/);
    const secured = async (psk: Buffer) => {
      const under = connect(path);
      const outer = client(path, under);
      await outer.bytes(18);
      outer.send(u32(3), option(OPTION.startTls));
      t.is((await outer.bytes(20)).readUInt32BE(12), 1);
      under.removeAllListeners('data');
      return tlsConnect({
        socket: under,
        maxVersion,
        minVersion: maxVersion,
        ciphers: 'PSK:TLS_AES_128_GCM_SHA256',
        checkServerIdentity: () => undefined,
        pskCallback: () => ({ psk, identity: 'kim' }),
      });
    };
    const wrong = await secured(Buffer.alloc(32, 6));
    await new Promise((resolve) => wrong.once('error', resolve));
    const inside = client(path, await secured(PSK));
    inside.socket.write(option(OPTION.go, info('vol')));
    t.is((await inside.bytes(52)).readBigUInt64BE(22), 65_536n);
    inside.send(request(COMMAND.write, { data: Buffer.alloc(40_000, 7) }), request(COMMAND.read, { cookie: 2, length: 65_536 }));
    const replies = readReplies(await inside.bytes(32 + 65_536), (cookie) => (cookie === 2 ? 65_536 : 0));
    t.true(replies[1]?.data.equals(served.bytes));
    t.is(served.bytes[39_999], 7);
  });
}

test('the socket: only its owner may use it, in a directory that only its owner may enter', async (t) => {
  const { path } = await serve(t, new MemoryExport());
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(join(path, '..')).mode & 0o777, 0o700);
});

test('TCP beyond loopback without required TLS: refused', async (t) => {
  const listen = { exports: [new MemoryExport()], clock: systemClock, tell: () => {} };
  const error = await t.throwsAsync(startNbdServer({ ...listen, address: { kind: 'tcp', host: '0.0.0.0', port: 0 } }));
  t.regex(error?.message ?? '', /without required TLS/);
  const psk = { kind: 'psk', required: false, keyOf: () => null } as const;
  await t.throwsAsync(startNbdServer({ ...listen, tls: psk, address: { kind: 'tcp', host: '0.0.0.0', port: 0 } }));
});
