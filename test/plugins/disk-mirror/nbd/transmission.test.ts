// The transmission phase: bytes in, bytes out, and what the export was asked.
import test from 'ava';
import { MemoryExport, type MemoryExportOptions } from '../../../support/memory-export.js';
import { COMMAND, FLAG, readReplies, request, type RequestFields } from '../../../support/nbd-bytes.js';
import { SessionDriver, type SessionSetUp } from '../../../support/nbd-session.js';

const ERRNO: Record<number, string> = {
  1: 'EPERM',
  5: 'EIO',
  12: 'ENOMEM',
  22: 'EINVAL',
  28: 'ENOSPC',
  75: 'EOVERFLOW',
  95: 'ENOTSUP',
  108: 'ESHUTDOWN',
};
const SIZE = 64 * 1024;

/** Replies in short: `2:ok`, `2:EINVAL`, `2:data 0+4`, `2:hole 0+512`, `2:status0 512=3`; `+` = more chunks follow. */
const story = (bytes: Buffer, dataOf: (cookie: number) => number): readonly string[] =>
  readReplies(bytes, dataOf).map((reply) => {
    if (reply.kind === 'simple')
      return `${reply.cookie}:${reply.error === 0 ? 'ok' : ERRNO[reply.error]}${reply.data.length > 0 ? ` ${reply.data.length} bytes` : ''}`;
    const { cookie, type, done, data } = reply;
    const more = done ? '' : ' +';
    if (type === 0) return `${cookie}:none${more}`;
    if (type === 1) return `${cookie}:data ${data.readBigUInt64BE()}+${data.length - 8}${more}`;
    if (type === 2) return `${cookie}:hole ${data.readBigUInt64BE()}+${data.readUInt32BE(8)}${more}`;
    if (type === 5) {
      const runs = Array.from(
        { length: (data.length - 4) / 8 },
        (_, index) => `${data.readUInt32BE(4 + 8 * index)}=${data.readUInt32BE(8 + 8 * index)}`,
      );
      return `${cookie}:status${data.readUInt32BE()} ${runs.join(' ')}${more}`;
    }
    return `${cookie}:${ERRNO[data.readUInt32BE()]}${more}`;
  });

const b = (text: string): Buffer => Buffer.from(text);
type Ask = readonly [command: number, fields?: RequestFields];
type Row = readonly [
  title: string,
  set: SessionSetUp & MemoryExportOptions,
  asks: readonly Ask[],
  replies: readonly string[],
  asked?: readonly string[],
];

const { read, write, flush, trim, zeroes, status, cache } = COMMAND;
const { fua, noHole, df, reqOne, fast } = FLAG;

const ROWS: readonly Row[] = [
  ['read: header and data', {}, [[read, { offset: 8, length: 4 }]], ['1:ok 4 bytes'], ['read 8+4']],
  ['read with structured replies: one chunk', { structured: true }, [[read, { offset: 8, length: 4 }]], ['1:data 8+4']],
  ['read the last byte', {}, [[read, { offset: SIZE - 1, length: 1 }]], ['1:ok 1 bytes']],
  ['read one byte too far: EINVAL, the export is not asked', {}, [[read, { offset: SIZE - 1, length: 2 }]], ['1:EINVAL'], []],
  ['read at the end of all numbers: EINVAL', {}, [[read, { offset: 0xffff_ffff_ffff_ffffn, length: 1 }]], ['1:EINVAL'], []],
  ['read where offset and length wrap around: EINVAL', {}, [[read, { offset: 0xffff_ffff_ffff_f000n, length: 0x2000 }]], ['1:EINVAL'], []],
  [
    'read too far, structured: an error chunk, never a simple reply',
    { structured: true },
    [[read, { offset: SIZE, length: 1 }]],
    ['1:EINVAL'],
  ],
  [
    'read nothing: EINVAL, and it goes on',
    {},
    [
      [read, { length: 0 }],
      [flush, { cookie: 2 }],
    ],
    ['1:EINVAL', '2:ok'],
    ['flush 0+0'],
  ],
  ['read more than the maximum: EINVAL', { maximumBlockBytes: 8192 }, [[read, { length: 8704 }]], ['1:EINVAL'], []],
  [
    'read more than the maximum, structured: EOVERFLOW',
    { maximumBlockBytes: 8192, structured: true },
    [[read, { length: 8704 }]],
    ['1:EOVERFLOW'],
    [],
  ],
  [
    'read what is not aligned: EINVAL',
    { minimumBlockBytes: 512 },
    [
      [read, { offset: 256, length: 512 }],
      [read, { cookie: 2, offset: 0, length: 256 }],
    ],
    ['1:EINVAL', '2:EINVAL'],
    [],
  ],
  ['DF without structured replies: EINVAL', {}, [[read, { flags: df, length: 4 }]], ['1:EINVAL'], []],
  [
    'DF: one chunk over a hole and data',
    { structured: true, holes: true },
    [
      [write, { offset: 512, data: Buffer.alloc(512, 7) }],
      [read, { cookie: 2, flags: df, length: 2048 }],
    ],
    ['1:ok', '2:data 0+2048'],
  ],
  ['DF over a hole alone: the hole', { structured: true, holes: true }, [[read, { flags: df, length: 2048 }]], ['1:hole 0+2048']],
  [
    'read a hole, data, a hole: three chunks, the last one final',
    { structured: true, holes: true },
    [
      [write, { offset: 512, data: Buffer.alloc(512, 7) }],
      [read, { cookie: 2, length: 2048 }],
    ],
    ['1:ok', '2:hole 0+512 +', '2:data 512+512 +', '2:hole 1024+1024'],
  ],
  [
    'read data, a hole, data',
    { structured: true, holes: true },
    [
      [write, { offset: 0, data: Buffer.alloc(512, 7) }],
      [write, { cookie: 2, offset: 1024, data: Buffer.alloc(512, 8) }],
      [read, { cookie: 3, length: 1536 }],
    ],
    ['1:ok', '2:ok', '3:data 0+512 +', '3:hole 512+512 +', '3:data 1024+512'],
  ],
  [
    'read a short piece of a hole: as data',
    { structured: true, holes: true },
    [
      [write, { offset: 512, data: b('x') }],
      [read, { cookie: 2, offset: 500, length: 24 }],
    ],
    ['1:ok', '2:data 500+24'],
  ],
  [
    'read one byte of a hole: as data, its chunk would be longer',
    { structured: true, holes: true },
    [[read, { length: 1 }]],
    ['1:data 0+1'],
  ],
  ['read fails at the export: its error, no data', { failWith: () => 'EIO' }, [[read, { length: 4 }]], ['1:EIO']],
  ['read fails, structured', { failWith: () => 'EIO', structured: true }, [[read, { length: 4 }]], ['1:EIO']],
  ['write', {}, [[write, { offset: 8, data: b('abcd') }]], ['1:ok'], ['write 8+4']],
  ['write with FUA: the export knows', {}, [[write, { flags: fua, offset: 8, data: b('abcd') }]], ['1:ok'], ['write! 8+4']],
  [
    'write beyond the end: ENOSPC, its data passed over',
    {},
    [
      [write, { offset: SIZE - 2, data: b('abcd') }],
      [flush, { cookie: 2 }],
    ],
    ['1:ENOSPC', '2:ok'],
    ['flush 0+0'],
  ],
  [
    'write nothing: EINVAL',
    {},
    [
      [write, { data: b('') }],
      [flush, { cookie: 2 }],
    ],
    ['1:EINVAL', '2:ok'],
  ],
  [
    'write more than the maximum: EINVAL, its data passed over',
    { maximumBlockBytes: 8192 },
    [
      [write, { data: Buffer.alloc(9000) }],
      [flush, { cookie: 2 }],
    ],
    ['1:EINVAL', '2:ok'],
    ['flush 0+0'],
  ],
  [
    'write what is not aligned: EINVAL',
    { minimumBlockBytes: 512 },
    [
      [write, { offset: 1, data: Buffer.alloc(512) }],
      [flush, { cookie: 2 }],
    ],
    ['1:EINVAL', '2:ok'],
  ],
  [
    'write to a read-only export: EPERM',
    { readOnly: true },
    [
      [write, { data: b('abcd') }],
      [trim, { cookie: 2, length: 4 }],
      [zeroes, { cookie: 3, length: 4 }],
      [read, { cookie: 4, length: 2 }],
    ],
    ['1:EPERM', '2:EPERM', '3:EPERM', '4:ok 2 bytes'],
    ['read 0+2'],
  ],
  [
    'write with a flag of another command: EINVAL, its data passed over',
    {},
    [
      [write, { flags: df, data: b('abcd') }],
      [flush, { cookie: 2 }],
    ],
    ['1:EINVAL', '2:ok'],
  ],
  [
    'write fails for space',
    { failWith: (kind) => (kind === 'write' ? 'ENOSPC' : null) },
    [
      [write, { data: b('abcd') }],
      [flush, { cookie: 2 }],
    ],
    ['1:ENOSPC', '2:ok'],
  ],
  [
    'flush with an offset or a length: EINVAL',
    {},
    [
      [flush, { offset: 1 }],
      [flush, { cookie: 2, length: 1 }],
      [flush, { cookie: 3, flags: fua }],
    ],
    ['1:EINVAL', '2:EINVAL', '3:ok'],
    ['flush 0+0'],
  ],
  [
    'trim',
    {},
    [
      [trim, { offset: 512, length: 1024 }],
      [trim, { cookie: 2, flags: fua, offset: 0, length: SIZE }],
    ],
    ['1:ok', '2:ok'],
    ['trim 512+1024', `trim! 0+${SIZE}`],
  ],
  ['trim beyond the end: EINVAL', {}, [[trim, { offset: SIZE, length: 1 }]], ['1:EINVAL'], []],
  [
    'zeroes, with each flag',
    {},
    [
      [zeroes, { length: 9 }],
      [zeroes, { cookie: 2, flags: noHole | fua, length: 9 }],
      [zeroes, { cookie: 3, flags: fast, length: 9 }],
    ],
    ['1:ok', '2:ok', '3:ok'],
    ['zeroes 0+9', 'zeroes no-hole! 0+9', 'zeroes fast 0+9'],
  ],
  ['zeroes beyond the end: ENOSPC', {}, [[zeroes, { offset: 1, length: SIZE }]], ['1:ENOSPC'], []],
  [
    'zeroes longer than the maximum payload: allowed, they have none',
    { maximumBlockBytes: 8192 },
    [
      [zeroes, { length: SIZE }],
      [trim, { cookie: 2, length: SIZE }],
    ],
    ['1:ok', '2:ok'],
  ],
  [
    'fast zeroes that are not fast: ENOTSUP',
    { slowZeroes: true },
    [
      [zeroes, { flags: fast, length: 9 }],
      [zeroes, { cookie: 2, length: 9 }],
    ],
    ['1:ENOTSUP', '2:ok'],
  ],
  [
    'NO_HOLE on a write: EINVAL',
    {},
    [
      [write, { flags: noHole, data: b('a') }],
      [trim, { cookie: 2, flags: fast, length: 1 }],
    ],
    ['1:EINVAL', '2:EINVAL'],
    [],
  ],
  ['CACHE is not offered: EINVAL', {}, [[cache, { length: 512 }]], ['1:EINVAL'], []],
  [
    'an unknown command, an unknown flag: EINVAL',
    {},
    [
      [77, {}],
      [read, { cookie: 2, flags: 0x8000, length: 1 }],
    ],
    ['1:EINVAL', '2:EINVAL'],
    [],
  ],
  ['status without a context: EINVAL', { structured: true }, [[status, { length: 512 }]], ['1:EINVAL'], []],
  ['a cookie with all bits: comes back as it is', {}, [[flush, { cookie: 0x1f_ffff_ffff_ffffn }]], [`${0x1f_ffff_ffff_ffff}:ok`]],
];

for (const [title, set, asks, replies, asked] of ROWS) {
  test(`${title}`, (t) => {
    const served = new MemoryExport({ sizeBytes: SIZE, ...set });
    const driver = new SessionDriver(served, set);
    for (const [command, fields] of asks) driver.push(request(command, fields));
    driver.settle();
    const lengths = new Map(asks.map(([command, { cookie = 1, length = 0 } = {}]) => [Number(cookie), command === read ? length : 0]));
    // An answer that is told as simple may be an empty chunk, and the other way: both are allowed but for reads.
    t.deepEqual(
      story(driver.bytes(), (cookie) => lengths.get(cookie) ?? 0).map((line) => line.replace(':none', ':ok')),
      replies,
    );
    if (asked !== undefined) t.deepEqual(served.asked, asked);
    t.is(driver.cut, null);
  });
}

test('read: the bytes that were written, around and in holes', (t) => {
  for (const structured of [true, false]) {
    const served = new MemoryExport({ sizeBytes: SIZE, holes: true });
    const driver = new SessionDriver(served, { structured });
    driver.push(request(write, { offset: 512, data: Buffer.alloc(512, 7) }));
    driver.push(request(write, { cookie: 2, offset: 1536, data: Buffer.alloc(512, 9) }));
    driver.push(request(read, { cookie: 3, length: 4096 }));
    driver.settle();
    const seen = Buffer.alloc(4096, 0x55);
    for (const reply of readReplies(driver.bytes(), (cookie) => (cookie === 3 ? 4096 : 0))) {
      if (reply.cookie !== 3) continue;
      if (reply.kind === 'simple') reply.data.copy(seen);
      else if (reply.type === 1) reply.data.copy(seen, Number(reply.data.readBigUInt64BE()), 8);
      else seen.fill(0, Number(reply.data.readBigUInt64BE()), Number(reply.data.readBigUInt64BE()) + reply.data.readUInt32BE(8));
    }
    t.true(seen.equals(served.bytes.subarray(0, 4096)));
  }
});

test('status: a chunk for each context, runs joined; one run with REQ_ONE; EIO when the export cannot say', async (t) => {
  const served = new MemoryExport({
    sizeBytes: SIZE,
    failWith: (kind, offset) => (kind.startsWith('status') && offset === 4096 ? 'EIO' : null),
  });
  const driver = new SessionDriver(served, { structured: true, contexts: served.contexts });
  driver.push(request(write, { offset: 1024, data: Buffer.alloc(512, 7) }));
  driver.push(request(status, { cookie: 2, length: 4096 }));
  driver.push(request(status, { cookie: 3, flags: reqOne, offset: 1024, length: 100 }));
  driver.push(request(status, { cookie: 4, offset: 4096, length: 512 }));
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    driver.settle();
  }
  const lines = story(driver.bytes(), () => 0).filter((line) => !line.startsWith('1:'));
  t.deepEqual(lines.toSorted(), [
    '2:status0 1024=3 512=0 2560=3 +',
    '2:status1 1024=0 512=1 2560=0',
    '3:status0 100=0 +',
    '3:status1 100=1',
    '4:EIO',
  ]);
  t.deepEqual(driver.troubles, ['the export "vol" cannot say what 4096+512 is: EIO']);
});

test('no request: the client is cut off, what is under way goes on, then it is finished', (t) => {
  const answers: (() => void)[] = [];
  const served = new MemoryExport({ answer: (run) => answers.push(run) });
  const driver = new SessionDriver(served);
  driver.push(Buffer.concat([request(write, { data: b('abcd') }), Buffer.alloc(28, 0x21), request(write, { cookie: 2, data: b('efgh') })]));
  t.regex(driver.cut ?? '', /no request/);
  driver.session.lost();
  t.is(driver.finished, 0);
  for (const answer of answers.splice(0)) answer();
  driver.settle();
  t.is(driver.finished, 1);
  t.deepEqual(served.asked, ['write 0+4']);
  t.is(served.bytes.toString('latin1', 0, 4), 'abcd');
  t.is(driver.bytes().length, 0);
});

test('half a write, then the client is gone: the export never hears of it', (t) => {
  for (const length of [4096, 1 << 20]) {
    const served = new MemoryExport({ sizeBytes: 1 << 21 });
    const driver = new SessionDriver(served);
    const whole = request(write, { data: Buffer.alloc(length, 7) });
    driver.push(whole.subarray(0, whole.length - 1));
    driver.session.clientEnded();
    t.true(driver.ended);
    driver.session.lost();
    driver.settle();
    t.deepEqual([served.asked, driver.finished, driver.left], [[], 1, 1]);
  }
});

test('DISC with requests under way: they are answered, then it is closed; nothing behind it is read', (t) => {
  const answers: (() => void)[] = [];
  const driver = new SessionDriver(new MemoryExport({ answer: (run) => answers.push(run) }));
  driver.push(
    Buffer.concat([request(write, { data: b('abcd') }), request(COMMAND.disconnect, { cookie: 2 }), request(flush, { cookie: 3 })]),
  );
  driver.settle();
  t.deepEqual([driver.ended, driver.left, answers.length], [false, 1, 1]);
  answers.pop()?.();
  driver.settle();
  t.deepEqual(
    story(driver.bytes(), () => 0),
    ['1:ok'],
  );
  t.true(driver.ended);
});

test('too many requests, too many bytes: the client is not read until answers are taken', (t) => {
  for (const limits of [
    { requests: 3, bytes: 1 << 26 },
    { requests: 64, bytes: 3000 },
  ]) {
    const answers: (() => void)[] = [];
    const served = new MemoryExport({ answer: (run) => answers.push(run) });
    const driver = new SessionDriver(served, { limits });
    for (let cookie = 1; cookie <= 10; cookie += 1)
      driver.push(request(write, { cookie, offset: 1000 * cookie, data: Buffer.alloc(1000, cookie) }));
    t.is(answers.length, 3);
    t.true(driver.waitingBytes > 0);
    for (let round = 0; round < 10; round += 1) {
      for (const answer of answers.splice(0)) answer();
      driver.settle();
    }
    t.is(readReplies(driver.bytes()).length, 10);
    t.is(driver.waitingBytes, 0);
    for (let cookie = 1; cookie <= 10; cookie += 1) t.is(served.bytes[1000 * cookie + 999], cookie);
  }
});

test('replies that nobody takes: no more requests are let in, errors included', (t) => {
  const driver = new SessionDriver(new MemoryExport(), { limits: { requests: 5, bytes: 1 << 20 } });
  for (let cookie = 1; cookie <= 20; cookie += 1) driver.push(request(77, { cookie }));
  t.is(readReplies(driver.bytes()).length, 5);
  driver.settle();
  t.is(readReplies(driver.bytes()).length, 20);
});

test('shutdown: ESHUTDOWN for what waits and what comes; the export finishes; nothing is told twice', (t) => {
  const answers: (() => void)[] = [];
  const served = new MemoryExport({ answer: (run) => answers.push(run) });
  const driver = new SessionDriver(served, { structured: true });
  const half = request(write, { cookie: 3, offset: 8, data: b('efgh') });
  driver.push(Buffer.concat([request(write, { data: b('abcd') }), request(read, { cookie: 2, length: 512 }), half.subarray(0, 30)]));
  driver.session.shutDown();
  driver.push(Buffer.concat([half.subarray(30), request(write, { cookie: 4, data: b('ijkl') }), request(COMMAND.disconnect)]));
  driver.settle();
  t.deepEqual(
    story(driver.bytes(), () => 0),
    ['1:ESHUTDOWN', '2:ESHUTDOWN', '3:ESHUTDOWN', '4:ESHUTDOWN'],
  );
  t.is(driver.session.underWay, 2);
  for (const answer of answers.splice(0)) answer();
  driver.settle();
  t.true(driver.ended);
  t.is(readReplies(driver.bytes()).length, 4);
  t.is(served.bytes.toString('latin1', 0, 4), 'abcd');
  t.deepEqual(served.asked, ['write 0+4', 'read 0+512']);
});

test('an export that answers twice: a programmer error', (t) => {
  const served = new MemoryExport();
  served.flush = (done) => {
    done(null);
    done(null);
  };
  t.throws(() => new SessionDriver(served).push(request(flush)), { message: /twice/ });
});
