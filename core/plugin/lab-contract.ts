// The contract of services that the lab starts beside its router: the cloud's API, an arbiter.
import type { NodeId } from '../model/ids.js';
import type { Log } from './contract.js';

/** A host of the lab, as a lab service sees it. */
export interface LabHost {
  readonly node: NodeId;
  /** The address of its service network, by which requests from it are known. */
  readonly serviceAddress: string;
  readonly zone: string;
}

export interface LabServiceContext {
  readonly hosts: readonly LabHost[];
  /** Addresses that the lab's groups float, e.g. 192.168.0.10. */
  readonly floating: readonly string[];
  /** Where hosts and the lab itself reach the service. */
  readonly listenAddress: string;
  /** Directory for the service's own files. */
  readonly directory: string;
  /** What the lab was told about this service beyond its name: `--arbiter etcd:1` gives `1`. */
  readonly variant?: string;
  /** The cluster key file of the lab's hosts, for services that authenticate by it. */
  readonly keyFile: string;
  /** Tells the lab's router: packets for `address` go to `node`, or nowhere. Resolves when packets follow. */
  readonly route: (address: string, node: NodeId | null) => Promise<void>;
  /** Powers a host off or on because the service was asked to (StopInstances). */
  readonly power: (node: NodeId, on: boolean) => Promise<void>;
  readonly log: Log;
}

/** A running service of the lab: the cloud's API, an arbiter. */
export interface LabService {
  /** Merged into the generated config, e.g. `{ aws: { endpoint } }` or `{ arbiter: { … } }`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The resource that floats an address by this service, as it stands in a config file. */
  readonly addressResource?: (address: string) => Readonly<Record<string, unknown>>;
  /** Told when the lab powers a host off or on by other means. */
  readonly powered?: (node: NodeId, on: boolean) => void;
  /** Faults it can be told to show, e.g. `latency 100ms`; answers with what it now does. */
  readonly fault?: (words: readonly string[]) => Promise<string>;
  readonly state?: () => unknown;
  stop(): Promise<void>;
}

export interface LabServiceDefinition {
  readonly summary: string;
  /** It keeps the lab's leases. A lab starts one such service, the one of the name it was told; the others always run. */
  readonly arbiter?: boolean;
  start(context: LabServiceContext): Promise<LabService>;
}
