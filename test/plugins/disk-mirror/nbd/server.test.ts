// The whole server over real sockets: what a client on this host sees of it.
import { mkdtempSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from 'understudy/plugin';
import { type NbdServerOptions, startNbdServer } from '../../../../plugins/disk-mirror/nbd/server.js';
import { MemoryExport } from '../../../support/memory-export.js';
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
const client = (path: string) => {
  const socket: Socket = connect(path);
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
    go: async (name = 'vol') => {
      await bytes(18);
      socket.write(Buffer.concat([u32(3), option(OPTION.go, info(name))]));
      return bytes(20 + 12 + 20);
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
    const data = Buffer.from(Array.from({ length: 3 << 20 }, (_, index) => (index * 7) & 255));
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
