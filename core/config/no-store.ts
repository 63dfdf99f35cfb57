// `arbiter: { use: none }`: two nodes without a store (SAFETY a.10). What such a cluster must have, and in words what it does not
// promise. Pure. Invariant: whatever the mode cannot keep safe is refused here, before anything starts.
import type { ClusterConfig } from './cluster-config.js';
import type { Findings } from './findings.js';

export interface NoStoreSurroundings {
  readonly nodes: number | null;
  readonly heartbeatNetworks: number | null;
  readonly fencing: ClusterConfig['fencing'] | undefined;
  readonly groups: readonly { readonly id: string; readonly takeover: 'lease' | 'preempt' }[] | null;
}

export const checkNoStore = ({ nodes, heartbeatNetworks, fencing, groups }: NoStoreSurroundings, findings: Findings): void => {
  const at = ['arbiter', 'use'];
  const store = 'or use a store: witness, etcd, dynamodb, s3';
  if (nodes !== null && nodes !== 2)
    findings.problem(at, `without a store there must be exactly two nodes, and there are ${nodes}`, { hint: store });
  if (heartbeatNetworks === 1)
    findings.problem(at, 'without a store two heartbeat networks are needed: with one alone each cut cable ends with a fence', {
      hint: `give every node a second heartbeat address, ${store}`,
    });
  if (fencing !== undefined && fencing.policy !== 'required')
    findings.problem(at, `without a store only a confirmed end is proof, and the fencing policy is ${fencing.policy}`, {
      hint: `say fencing: { policy: required, use: … }, ${store}`,
    });
  for (const { id, takeover } of groups ?? [])
    if (takeover === 'preempt')
      findings.problem(['groups', id, 'takeover'], 'takeover: preempt needs a store: without one nothing decides between two nodes', {
        hint: store,
      });
  findings.warning(
    at,
    'no store: a takeover needs a working fence or a person, and two nodes that start without hearing each other both wait',
    {
      hint: 'an object in S3 costs cents and removes this: see docs/how-to/two-nodes-without-a-store.md',
    },
  );
};
