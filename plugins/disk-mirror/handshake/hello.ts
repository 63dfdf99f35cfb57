// What a hello says beside the copy's state, and why two processes cannot speak with each other at all. Pure.
import { type Frame, PROTOCOL } from '../link/frames.js';
import type { CopyState } from '../words.js';

const CHUNK = 'chunk-bytes=';

export const helloFeatures = (chunkBytes: number): readonly string[] => [`${CHUNK}${chunkBytes}`];

/** Null: they can. An older version says nothing of its bitmap. */
export const helloProblem = ({ protocol, features, copy }: Extract<Frame, { t: 'hello' }>, chunkBytes: number): string | null => {
  if (protocol !== PROTOCOL) return `the peer speaks version ${protocol} of the protocol, this node ${PROTOCOL}`;
  const theirs = features.find((feature) => feature.startsWith(CHUNK))?.slice(CHUNK.length) ?? null;
  return theirs === null || theirs === String(chunkBytes)
    ? null
    : `a bit of the copy of ${copy.node} counts ${theirs} bytes, one here ${chunkBytes}: make one of them anew with the other’s --chunk`;
};

/** `session` counts the sender's; `answers` names the peer's that it replies to, 0 = it opens one. */
export const helloOf = (copy: CopyState, session: number, answers: number, chunkBytes: number): Frame => ({
  t: 'hello',
  epoch: copy.maxEpochSeen,
  protocol: PROTOCOL,
  features: helloFeatures(chunkBytes),
  session,
  answers,
  copy,
});
