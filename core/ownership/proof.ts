// What proves that an earlier holder is down (SAFETY a.7): its own statement, a changed boot, a confirmed fence. Pure.
// Invariant: every proof is of one boot of one node at one epoch; nothing said of another boot or another epoch counts.
import type { EarlierHolder } from './record.js';
import type { OwnershipState } from './state.js';

export interface Proof {
  readonly evidence: 'stopped' | 'rebooted' | 'fenced' | 'own';
  readonly because: string;
}

/** The proof that this holder of an earlier epoch runs nothing of it any more, else null. */
export const proofOf = ({ policy, peers, fenced }: OwnershipState, { node, bootId, epoch }: EarlierHolder): Proof | null => {
  // A machine that holds nothing, or only waits, runs nothing: it began so, or verified the stop of what it held before.
  if (node === policy.self) return { evidence: 'own', because: `nothing of epoch ${epoch} runs on ${node}, this node itself` };
  const facts = policy.pair == null ? peers[node] : undefined;
  // Without a store a live peer is asked for its consent, and of a silent one only its seen end counts.
  // Said by a later boot it counts as well: whoever knows this epoch and speaks is that boot or one after it.
  if (facts?.stopped?.epoch === epoch) return { evidence: 'stopped', because: `${node} says that epoch ${epoch} is stopped there` };
  if (facts?.retired.some((retired) => retired.bootId === bootId) === true)
    return { evidence: 'rebooted', because: `${node} has rebooted since it held epoch ${epoch}` };
  const off = fenced.find((one) => one.node === node && one.bootId === bootId && one.epoch === epoch);
  return off === undefined ? null : { evidence: 'fenced', because: `${node} is fenced for epoch ${epoch}: ${off.evidence}` };
};
