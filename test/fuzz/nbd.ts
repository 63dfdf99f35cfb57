// What a stranger sends to the NBD server: the handshake, and the requests behind it, as streams cut in pieces. Nothing may
// throw, run on, or keep memory.
import { Negotiation } from '../../plugins/disk-mirror/nbd/negotiation.js';
import { SlabPool } from '../../plugins/disk-mirror/nbd/slabs.js';
import { MemoryExport } from '../support/memory-export.js';
import { COMMAND, contexts, FLAG, info, OPTION, option, readOptionReplies, readReplies, request, u32 } from '../support/nbd-bytes.js';
import { SessionDriver } from '../support/nbd-session.js';
import { assertThat, type Target } from './target.js';

const HELLO = u32(3);
const data = Buffer.from('sixteen bytes of');
const served = [new MemoryExport({ sizeBytes: 4096 }), new MemoryExport({ name: 'second', minimumBlockBytes: 512 })];

/** Two pieces, and the second one byte by byte where that costs little. */
const cut = (bytes: Buffer): readonly Buffer[] => {
  const middle = bytes.length >> 1;
  const rest = bytes.length > 200 ? [bytes.subarray(middle)] : [...bytes.subarray(middle)].map((byte) => Buffer.from([byte]));
  return [bytes.subarray(0, middle), ...rest];
};

export const nbdNegotiation: Target = {
  name: 'nbd-negotiation',
  seeds: [
    Buffer.concat([HELLO, option(OPTION.list), option(OPTION.structured), option(OPTION.go, info('vol', 0, 1, 2, 3))]),
    Buffer.concat([
      HELLO,
      option(OPTION.structured),
      option(OPTION.listContexts, contexts('vol')),
      option(OPTION.setContexts, contexts('', 'base:allocation', 'x:y')),
      option(OPTION.info, info('second', 3)),
    ]),
    Buffer.concat([u32(1), option(OPTION.exportName, 'second')]),
    Buffer.concat([HELLO, option(OPTION.startTls)]),
    Buffer.concat([HELLO, option(OPTION.extended), option(99, Buffer.alloc(300)), option(OPTION.abort, 'bye')]),
  ],
  repair: (bytes) => {
    HELLO.copy(bytes);
    Buffer.from('IHAVEOPT').copy(bytes, 4);
    if (bytes.length > 20) bytes.fill(0, 16, 18);
    return bytes;
  },
  judge: (bytes) => {
    const negotiation = new Negotiation({
      exports: served,
      tls: bytes.length % 3 === 0 ? 'offered' : 'none',
      secure: false,
      ending: () => false,
    });
    let [replies, replyBytes] = [0, 0];
    for (const piece of cut(bytes)) {
      negotiation.push(piece);
      for (let step = negotiation.next(); step !== null; step = negotiation.next()) {
        replies += 1;
        if (step.kind === 'enter') {
          const { rest } = negotiation.admit(step.agreed.served.sizeBytes());
          assertThat(rest.length <= bytes.length, 'more is left over than came');
          return 'in';
        }
        replyBytes += step.bytes?.length ?? 0;
        // Each option costs its sender sixteen bytes, and gets an answer that is not much longer than all that can be told.
        assertThat(replies <= bytes.length / 16 + 1 && replyBytes <= replies * 1000 + bytes.length, 'more is answered than was asked');
        if (step.bytes !== null) readOptionReplies(step.bytes);
        if (step.kind !== 'reply') return step.kind;
      }
    }
    return replies > 0 ? 'options' : 'unfinished';
  },
  slowMs: 50,
};

const pool = new SlabPool(1 << 26);
const disk = new MemoryExport({ sizeBytes: 8192, holes: true });
let freeBytes = 0;

export const nbdTransmission: Target = {
  name: 'nbd-transmission',
  seeds: [
    Buffer.concat([
      request(COMMAND.write, { cookie: 1, offset: 512, data }),
      request(COMMAND.read, { cookie: 2, length: 4096 }),
      request(COMMAND.flush, { cookie: 3 }),
    ]),
    Buffer.concat([
      request(COMMAND.trim, { cookie: 1, length: 4096 }),
      request(COMMAND.zeroes, { cookie: 2, flags: FLAG.fast | FLAG.noHole, length: 512 }),
      request(COMMAND.read, { flags: FLAG.df, cookie: 3, offset: 100, length: 900 }),
    ]),
    Buffer.concat([
      request(COMMAND.status, { cookie: 1, flags: FLAG.reqOne, length: 4096 }),
      request(COMMAND.cache, { cookie: 2, length: 1 }),
      request(COMMAND.disconnect),
    ]),
    Buffer.concat([
      request(COMMAND.write, { cookie: 1, data: Buffer.alloc(700, 7), flags: FLAG.fua }),
      request(77),
      request(COMMAND.write, { offset: 8190, data }),
      request(COMMAND.read, { length: 1 }),
    ]),
  ],
  repair: (bytes) => {
    u32(0x25609513).copy(bytes);
    // A length that means something, so that what is behind it is reached.
    if (bytes.length > 28) bytes.fill(0, 24, 26);
    return bytes;
  },
  judge: (bytes) => {
    const structured = bytes.length % 2 === 0;
    disk.asked.length = 0;
    const driver = new SessionDriver(disk, {
      structured,
      limits: { requests: 4, bytes: 16_384 },
      pool,
      contexts: structured ? ['base:allocation'] : [],
    });
    for (const piece of cut(bytes)) driver.push(piece);
    driver.settle();
    driver.session.clientEnded();
    driver.settle();
    const answered = driver.bytes();
    assertThat(answered.length <= 1 + bytes.length * 400, 'more is answered than was asked');
    assertThat(disk.asked.length <= bytes.length / 28, 'more is asked of the export than came');
    driver.session.lost();
    driver.settle();
    // What asks the export for status answers in its own time; all else is over now.
    const waiting = disk.asked.some((asked) => asked.startsWith('status'));
    if (!waiting) {
      assertThat(driver.session.underWay === 0 && driver.finished === 1, 'something of a client that is gone is under way');
      assertThat(pool.freeBytes >= freeBytes, 'memory of a client that is gone did not come back');
      freeBytes = Math.max(freeBytes, pool.freeBytes);
    }
    if (driver.cut !== null) return disk.asked.length > 0 ? 'cut off later' : 'cut off';
    if (structured) readReplies(answered);
    return disk.asked.length > 0 ? 'requests' : answered.length > 0 ? 'errors' : 'unfinished';
  },
  slowMs: 50,
};
