// Whether the one that greets is the peer of this volume. Pure.
import { PROTOCOL } from './frames.js';
import type { LinkIdentity, WireFrame } from './layout.js';

export type Greeting = WireFrame & { t: 'greet' };

/** Why it is not; null = it is. */
export const refusalOf = (
  { protocol, from }: Pick<Greeting, 'protocol' | 'from'>,
  { self, peer }: { readonly self: LinkIdentity; readonly peer: string },
): string | null => {
  if (protocol !== PROTOCOL) return `the peer speaks version ${protocol} of the mirror's protocol, this node ${PROTOCOL}`;
  for (const key of ['cluster', 'group', 'volume'] as const)
    if (from[key] !== self[key]) return `the peer speaks for ${key} ${from[key]}, this is ${key} ${self[key]}`;
  return from.node === peer ? null : `node ${from.node} called, the peer of this volume is ${peer}`;
};
