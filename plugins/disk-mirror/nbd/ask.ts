// A request that was let in, put to the export. The data of a read gets its place in the outbox first, behind the header that
// will stand before it.
import { reasonOf } from 'understudy/plugin';
import type { NbdExport, StatusRun } from './export.js';
import type { Outbox } from './outbox.js';
import type { Pending } from './pending.js';
import { COMMAND, DATA_CHUNK_BYTES, FLAG, SIMPLE_REPLY_BYTES } from './protocol.js';
import { fitRuns } from './status-runs.js';

/** Everything but a write, whose payload comes later, and BLOCK_STATUS. */
export const ask = (served: NbdExport, pending: Pending, outbox: Outbox, structured: boolean): void => {
  const { command, offset, length, flags, done } = pending;
  const fua = (flags & FLAG.fua) !== 0;
  if (command === COMMAND.read) {
    const head = structured ? DATA_CHUNK_BYTES : SIMPLE_REPLY_BYTES;
    outbox.place(head + length);
    const slab = outbox.placeSlab;
    pending.slab = slab;
    pending.at = outbox.placeAt;
    return served.read(slab.buffer.subarray(pending.at + head, pending.at + head + length), offset, done);
  }
  if (command === COMMAND.flush) return served.flush(done);
  if (command === COMMAND.trim) return served.trim(offset, length, fua, done);
  return served.zeroes(offset, length, { fua, noHole: (flags & FLAG.noHole) !== 0, fast: (flags & FLAG.fastZero) !== 0 }, done);
};

/** Runs for each context, in their order; null when the export cannot say (the client is told EIO, `trouble` the reason). */
export const askStatus = async (
  served: NbdExport,
  { offset, length, flags }: Pending,
  contexts: readonly string[],
  trouble: (because: string) => void,
): Promise<readonly (readonly StatusRun[])[] | null> => {
  const one = (flags & FLAG.reqOne) !== 0;
  try {
    const asked = contexts.map(async (context) => fitRuns(await served.status(context, offset, length), length, one));
    const runs = await Promise.all(asked);
    if (!runs.includes(null)) return runs.filter((answer) => answer !== null);
    trouble(`the export "${served.name}" told no usable runs for ${offset}+${length}`);
  } catch (error) {
    trouble(`the export "${served.name}" cannot say what ${offset}+${length} is: ${reasonOf(error)}`);
  }
  return null;
};
