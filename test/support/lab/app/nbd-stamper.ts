// An application on a mirrored volume, for drills: it writes stamps through the volume's NBD socket as fast as they are answered and
// notes each answer in a file outside. A slot is one block and is only ever written with growing counters, so that what a copy must
// at least hold is one number a slot. Usage: nbd-stamper.js SOCKET ANSWERS_FILE SLOTS. It ends when its connection does.
import { openSync, writeSync } from 'node:fs';
import { NbdClient } from '../../nbd-client.js';
import { BLOCK_BYTES, counterOf, stampedBlock } from '../../stamps.js';

const [, , socket = '', file = '', slots = ''] = process.argv;
const answers = openSync(file, 'a');
/** Every so many-th write of a slot is flushed before the next. */
const FLUSH_EVERY = 8;

const volume = await NbdClient.open(socket);

const writeSlot = async (slot: number): Promise<void> => {
  const at = slot * BLOCK_BYTES;
  for (let counter = counterOf(await volume.read(at, BLOCK_BYTES)) + 1; ; counter += 1) {
    await volume.write(at, stampedBlock(slot, counter));
    writeSync(answers, `${slot} ${counter} w\n`);
    if (counter % FLUSH_EVERY !== 0) continue;
    await volume.flush();
    writeSync(answers, `${slot} ${counter} f\n`);
  }
};

// A refused write ends this process: its monitor sees it, and the group's policy decides.
await Promise.race([volume.ended, ...Array.from({ length: Number(slots) }, (_, slot) => writeSlot(slot))]).catch((error: unknown) => {
  console.error(error);
});
process.exit(1);
