// The arbiter `witness` as the config names it: `arbiter: { use: witness, address: 10.0.9.9:4472 }`.
import { defineArbiter, options, text } from 'understudy/plugin';
import { WITNESS_PORT, parseAddress } from './address.js';
import { open } from './witness-arbiter.js';

export const witnessArbiter = defineArbiter({
  summary: 'A small compare-and-set server of understudy’s own, on a third machine; where no etcd, DynamoDB or S3 is to be had.',
  options: options({
    address: text('Where the witness listens, ADDRESS:PORT, numeric').refine(
      (value) => parseAddress(value, WITNESS_PORT) !== null,
      'write a numeric address and a port, e.g. 10.0.9.9:4472',
    ),
    remember: text(
      'File in which this node remembers which state it trusts, so that a witness that lost it is refused after a restart too',
    ).optional(),
  }),
  minRenewMs: 100,
  open,
});
