// Whether what answers is the store that was trusted before: the same cluster, and one that never goes back. A store restored
// from a backup, or made anew, would grant an epoch twice.
import type { Header } from './messages.js';

export class Trust {
  #clusterId: string | null;
  #revision = 0n;

  /** `clusterId` (hexadecimal, as etcdctl prints it) when the config names it; else the first that answers is trusted. */
  constructor(clusterId: string | null) {
    this.#clusterId = clusterId;
  }

  /** The highest revision that any answer had: no call sent from now on may see a lower one. */
  get revision(): bigint {
    return this.#revision;
  }

  /** Why this answer to a call that was sent when the revision was `floor` cannot be believed; null when it can, and is remembered. */
  objection(header: Header | null, floor: bigint): string | null {
    if (header === null) return 'its answer has no header';
    const clusterId = BigInt(header.cluster_id).toString(16);
    const revision = BigInt(header.revision);
    if (this.#clusterId !== null && clusterId !== this.#clusterId)
      return `it belongs to cluster ${clusterId}, not to ${this.#clusterId}: a store made anew, restored from a backup, or another one`;
    if (revision < floor)
      return `it went back from revision ${floor} to ${revision}: it was restored from a backup, or lost what it acknowledged`;
    this.#clusterId = clusterId;
    if (revision > this.#revision) this.#revision = revision;
    return null;
  }
}
