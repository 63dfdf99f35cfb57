// Requests out of the byte stream, at the edges of the memory that they are received into.
import test from 'ava';
import { Intake } from '../../../../plugins/disk-mirror/nbd/intake.js';
import { COMMAND, REQUEST_BYTES, REQUEST_MAGIC } from '../../../../plugins/disk-mirror/nbd/protocol.js';
import { SlabPool } from '../../../../plugins/disk-mirror/nbd/slabs.js';

const request = (command: number, length: number, fill = 0): Buffer => {
  const header = Buffer.alloc(REQUEST_BYTES);
  header.writeUInt32BE(REQUEST_MAGIC, 0);
  header.writeUInt16BE(command, 6);
  header.writeUInt32BE(length, 24);
  return command === COMMAND.write ? Buffer.concat([header, Buffer.alloc(length, fill)]) : header;
};

for (const past of [0, 1, 27, 28]) {
  test(`a long payload whose first bytes end ${past} bytes before the memory that its neighbours hold does: the request behind it is read`, (t) => {
    const seen: string[] = [];
    const intake = new Intake(
      {
        header: ({ command }) => {
          if (command !== COMMAND.write) seen.push(`command ${command}`);
          return command === COMMAND.write ? 'payload' : 'next';
        },
        payload: (_intake, bytes, slab) => {
          // As an export that has not answered yet.
          slab.hold();
          seen.push(`${bytes.length} of ${bytes[0]} and ${bytes.at(-1)}`);
        },
        broken: () => void seen.push('no request'),
      },
      new SlabPool(0),
    );
    const first = intake.target().length - past;
    const small = [1, 2, 3].map((fill) => request(COMMAND.write, 65_536, fill));
    const stream = Buffer.concat([...small, request(COMMAND.write, 131_072, 4), request(COMMAND.flush, 0)]);
    for (let at = 0; at < stream.length; ) {
      const count = stream.copy(intake.target(), 0, at, at < first ? first : stream.length);
      t.true(count > 0);
      at += count;
      intake.received(count);
    }
    t.deepEqual(seen, [...[1, 2, 3].map((fill) => `65536 of ${fill} and ${fill}`), '131072 of 4 and 4', `command ${COMMAND.flush}`]);
  });
}
