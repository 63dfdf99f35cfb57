// Opens the arbiter `witness`. The guard loads this file by its name, with options that were checked before: nothing but
// `understudy/arbiter` and the client may be behind it.
import { type Arbiter, type ArbiterContext, UnderstudyError } from 'understudy/arbiter';
import { WITNESS_PORT, parseAddress } from './address.js';
import { WitnessClient } from './client.js';
import { WitnessMemory } from './memory.js';

export interface WitnessOptions {
  readonly address: string;
  readonly remember?: string | undefined;
}

export const open = ({ address, remember }: WitnessOptions, { cluster, node, key, ports, log }: ArbiterContext): Promise<Arbiter> => {
  const at = parseAddress(address, ports['witness'] ?? WITNESS_PORT);
  if (at === null) throw new UnderstudyError('CONFIG_INVALID', `arbiter witness: ${address} is not a numeric address and a port`);
  return Promise.resolve(new WitnessClient({ ...at, key, cluster, node, memory: new WitnessMemory(remember ?? null, log), log }));
};
