import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {
  type FramedConnection,
  FrameDecoder,
  MAX_FRAME_BYTES,
  connectFramed,
  encodeFrame,
  listenFramed,
} from '../../core/system/framed-socket.js';
import { Alarms } from '../../core/system/alarms.js';
import { listenUnix } from '../../core/system/unix-socket.js';
import { FakeClock } from '../support/fake-clock.js';

const directory = mkdtempSync(join(tmpdir(), 'understudy-framed-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const calm = () => undefined;
const numRuns = Number(process.env['FC_RUNS'] ?? 50);

test('codec: whatever the cuts of the stream, the same messages come out', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { maxLength: 8 }),
      fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 8 }),
      (messages, cuts) => {
        const stream = Buffer.concat(messages.map(encodeFrame));
        const decoder = new FrameDecoder();
        const out: unknown[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const next = at + 1 + (cuts[turn % cuts.length] ?? 0);
          out.push(...decoder.push(stream.subarray(at, next)));
          at = next;
        }
        t.deepEqual(
          out,
          messages.map((message) => JSON.parse(JSON.stringify(message)) as unknown),
        );
      },
    ),
    { numRuns },
  );
});

test('codec: a frame that announces too much or holds no JSON is refused before it is buffered', (t) => {
  t.throws(() => new FrameDecoder().push(Buffer.from([0x7f, 0, 0, 0])), { message: /announces/ });
  t.throws(() => new FrameDecoder().push(Buffer.from([0, 0, 0, 1, 0x7b])), { message: /not JSON/ });
  t.throws(() => encodeFrame('x'.repeat(MAX_FRAME_BYTES)), { message: /longer than/ });
});

test('socket: only the owner may use it, both sides talk, and each hears the end', async (t) => {
  const path = join(directory, 'talk.sock');
  const greeted = resolvers<FramedConnection>();
  const server = await listenFramed(path, (connection) => greeted.resolve(connection), calm);
  t.is(statSync(path).mode & 0o777, 0o600);
  const client = await connectFramed(path);
  client.send({ t: 'hello' });
  const there = await greeted.promise;
  t.deepEqual(await heard(there), { t: 'hello' });
  there.send({ t: 'view', padding: 'x'.repeat(200_000) });
  t.is(((await heard(client)) as { t: string }).t, 'view');
  const ended = new Promise<string>((resolve) => client.onClose(resolve));
  await server.close();
  t.is(await ended, 'the other side closed the connection');
  t.false(client.send({ t: 'late' }));
});

test('socket: a live one is not taken over, a dead one is', async (t) => {
  const path = join(directory, 'twice.sock');
  const first = await listenFramed(path, () => {}, calm);
  await t.throwsAsync(
    listenFramed(path, () => {}, calm),
    { code: 'REFUSED' },
  );
  await first.close();
  const second = await listenFramed(path, () => {}, calm);
  await second.close();
});

test('socket: rubbish ends the connection, not the process', async (t) => {
  const path = join(directory, 'rubbish.sock');
  const ended = resolvers<string>();
  const server = await listenFramed(
    path,
    (connection) => {
      connection.onMessage(() => t.fail('nothing of this is a message'));
      connection.onClose(ended.resolve);
    },
    calm,
  );
  connect(path)
    .on('error', () => undefined)
    .write('GET / HTTP/1.1\r\n\r\n');
  t.regex(await ended.promise, /announces/);
  await server.close();
});

test('socket: connecting where nobody listens says so', async (t) => {
  await t.throwsAsync(connectFramed(join(directory, 'nobody.sock')), { code: 'ENOENT' });
});

test('socket: an accept that fails later is told and ends nothing', async (t) => {
  const server = createServer((socket) => socket.end('in'));
  const path = join(directory, 'accept.sock');
  const troubles: string[] = [];
  await listenUnix(server, path, (because) => troubles.push(because));
  // As the event loop says it when no descriptor is left; without a listener it would end the process.
  for (let time = 0; time < 3; time += 1) server.emit('error', new Error('accept EMFILE'));
  t.deepEqual(new Set(troubles), new Set([`a client could not be let in on ${path}: accept EMFILE`]));
  const got = resolvers<string>();
  connect(path).on('data', (chunk) => got.resolve(chunk.toString()));
  t.is(await got.promise, 'in', 'the next client is served');
  await new Promise((resolve) => server.close(resolve));
});

test('socket: what is not a dead socket of ours is left where it is', async (t) => {
  const file = join(directory, 'file.sock');
  writeFileSync(file, 'precious');
  await t.throwsAsync(
    listenFramed(file, () => {}, calm),
    { code: 'REFUSED', message: /not a socket stands there/ },
  );
  t.is(readFileSync(file, 'utf8'), 'precious');
  const link = join(directory, 'link.sock');
  symlinkSync(file, link);
  await t.throwsAsync(
    listenFramed(link, () => {}, calm),
    { code: 'REFUSED', message: /not a socket stands there/ },
  );
  t.is(readFileSync(file, 'utf8'), 'precious');
});

test('alarms that pass: told once while it lasts, shown until a minute after the last', (t) => {
  const clock = new FakeClock();
  const alarms = new Alarms();
  const told: string[] = [];
  const trouble = alarms.passing('socket', clock, (sentence) => told.push(sentence));
  for (let time = 0; time < 3; time += 1) {
    trouble(`no descriptors ${time}`);
    clock.advance(40_000);
  }
  t.deepEqual([told, alarms.all()], [['no descriptors 0'], ['no descriptors 2']]);
  clock.advance(30_000);
  t.deepEqual(alarms.all(), []);
  trouble('again');
  t.deepEqual(told, ['no descriptors 0', 'again']);
});

const resolvers = <T>(): { promise: Promise<T>; resolve: (value: T) => void } => {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
};

const heard = (connection: FramedConnection): Promise<unknown> => new Promise((resolve) => connection.onMessage(resolve));
