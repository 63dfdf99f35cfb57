import test from 'ava';
import {
  askFamily,
  connectDevice,
  type DeviceSetup,
  disconnectDevice,
  readReplies,
  reconnectDevice,
} from '../../../../plugins/disk-mirror/attach/nbd-netlink.js';

const setup: DeviceSetup = {
  index: 3,
  sizeBytes: 2 ** 40,
  blockBytes: 4096,
  serverFlags: 0x6d,
  deadConnectionS: 600,
  backend: 'orders/data',
  socketFd: 21,
};

/** Attributes as kind → bytes; the kernel reads them so. */
const attributes = (bytes: Buffer): Map<number, Buffer> => {
  const found = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; at += (bytes.readUInt16LE(at) + 3) & ~3)
    found.set(bytes.readUInt16LE(at + 2), bytes.subarray(at + 4, at + bytes.readUInt16LE(at)));
  return found;
};

const parsed = (bytes: Buffer) => ({
  length: bytes.readUInt32LE(0),
  family: bytes.readUInt16LE(4),
  flags: bytes.readUInt16LE(6),
  sequence: bytes.readUInt32LE(8),
  command: bytes[16],
  attributes: attributes(bytes.subarray(20)),
});

test('setting a device up: every attribute as linux/nbd-netlink.h has it, and no request timeout', (t) => {
  const bytes = connectDevice(31, 7, setup);
  const { attributes: found, ...head } = parsed(bytes);
  t.deepEqual(head, { length: bytes.length, family: 31, flags: 5, sequence: 7, command: 1 });
  t.is(found.get(1)?.readUInt32LE(), 3);
  t.is(found.get(2)?.readBigUInt64LE(), 2n ** 40n);
  t.is(found.get(3)?.readBigUInt64LE(), 4096n);
  t.is(found.get(5)?.readBigUInt64LE(), 0x6dn);
  t.is(found.get(8)?.readBigUInt64LE(), 600n);
  t.is(found.get(10)?.toString(), 'orders/data\0');
  const item = attributes(found.get(7)!).get(1)!;
  t.is(attributes(item).get(1)?.readUInt32LE(), 21);
  t.false(found.has(4), 'a request may wait as long as the mirror holds its answer');
});

test('connecting again: names the device and who it belongs to, and leaves size and flags alone', (t) => {
  const { command, attributes: found } = parsed(reconnectDevice(31, 8, setup));
  t.is(command, 3);
  t.deepEqual(
    [...found.keys()].sort((one, other) => one - other),
    [1, 2, 7, 8, 10],
  );
  // A volume that was grown meanwhile.
  t.is(Number(found.get(2)?.readBigUInt64LE()), 2 ** 40);
});

test('disconnecting: the device alone', (t) => {
  const { command, attributes: found } = parsed(disconnectDevice(31, 9, 3));
  t.is(command, 2);
  t.deepEqual([...found.keys()], [1]);
});

test('asking for the driver: by name, of the family that knows all others', (t) => {
  const { family, command, attributes: found } = parsed(askFamily(1));
  t.deepEqual([family, command, found.get(2)?.toString()], [16, 3, 'nbd\0']);
});

const reply = (kind: number, sequence: number, body: Buffer): Buffer => {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + body.length, 0);
  head.writeUInt16LE(kind, 4);
  head.writeUInt32LE(sequence, 8);
  return Buffer.concat([head, body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
};
const errno = (number: number): Buffer => {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-number);
  return body;
};

test('replies: done, an errno, the number of the family, and others between them', (t) => {
  const family = Buffer.from([1, 2, 0, 0, 6, 0, 1, 0, 29, 0, 0, 0]);
  t.deepEqual(
    readReplies(Buffer.concat([reply(2, 4, errno(0)), reply(99, 5, Buffer.alloc(5)), reply(2, 6, errno(16)), reply(16, 7, family)])),
    [
      { kind: 'status', sequence: 4, errno: 0 },
      { kind: 'other', sequence: 5 },
      { kind: 'status', sequence: 6, errno: 16 },
      { kind: 'family', sequence: 7, family: 29 },
    ],
  );
});

test('replies cut short: an error, never a guess', (t) => {
  const whole = reply(16, 7, Buffer.from([1, 2, 0, 0, 6, 0, 1, 0, 29, 0, 0, 0]));
  for (let length = 1; length < whole.length; length += 1)
    t.throws(() => readReplies(whole.subarray(0, length)), { instanceOf: RangeError });
  t.throws(() => readReplies(reply(16, 7, Buffer.from([1, 2, 0, 0, 60, 0, 9, 0]))), { message: /attribute of 60 bytes/ });
});
