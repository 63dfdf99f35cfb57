// The proof that an endpoint honours conditional writes, on an object of this node's own. Some S3-compatible servers ignore
// If-Match and If-None-Match and say 200 to both writers: a lease kept there would have two holders.
import { randomBytes } from 'node:crypto';
import { ArbiterError } from 'understudy/arbiter';
import { bodyOf } from './s3-body.js';
import type { S3Objects } from './s3-objects.js';

/** No object of ours has it. */
const NO_ETAG = '"00000000000000000000000000000000"';

/** Throws ArbiterError `refused` when a write that must fail did not; whatever else went wrong rises as it is. */
export const proveConditions = async (objects: S3Objects, key: string, signal: AbortSignal): Promise<void> => {
  const write = (on: string | null) =>
    objects.put(key, on, bodyOf(0, randomBytes(8).toString('hex'), 'a probe of conditional writes'), signal);
  // The first may create it; the second must not.
  await write(null);
  if ((await write(null)) !== null) throw ignored('If-None-Match');
  if ((await write(NO_ETAG)) !== null) throw ignored('If-Match');
};

const ignored = (header: string): ArbiterError =>
  new ArbiterError(
    'refused',
    `this S3 endpoint ignores ${header}: two nodes would both be told that they hold a lease; use one that honours conditional writes, or another arbiter`,
  );
