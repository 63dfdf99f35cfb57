// What a lab is built on: hosts with wires and power, a router that decides where floating addresses are, and a place for the
// client. Two implementations: netns-substrate.ts (real packets) and loopback-substrate.ts (no root). Nothing above this
// interface knows which one it has.
import type { NodeId } from '../model/ids.js';
import type { HostHandle } from './host-processes.js';
import type { LabProcess, StartOptions } from './lab-process.js';
import type { LabNetwork, LabTopology } from './topology.js';

/** `in`: the host receives nothing. `out`: nobody receives what the host sends. */
export type CutDirection = 'in' | 'out' | 'both';

export interface Cut {
  readonly node: NodeId;
  readonly network: LabNetwork | 'all';
  readonly direction: CutDirection;
}

/** `net`: /proc/PID/net of a process inside the namespace. `table`: the file that stands for the OS (loopback). */
export type AddressSource = { readonly kind: 'net'; readonly pid: number } | { readonly kind: 'table'; readonly path: string };

/** What the host is and has, for the observer and for `lab status`. */
export interface HostFacts {
  readonly node: NodeId;
  readonly power: boolean;
  readonly pids: readonly number[];
  /** Addresses its interfaces have beyond those of its wires. */
  readonly addresses: readonly string[];
}

export interface Substrate {
  readonly topology: LabTopology;
  /** Makes router, networks and client; hosts stay off. */
  up(): Promise<void>;
  /** Removes everything, also what an earlier life of the lab left: processes, namespaces, cgroups, directories. */
  down(): Promise<void>;
  /** A new life of the host: wires, fresh `<run>` with a new boot salt. No process yet. */
  powerOn(node: NodeId): Promise<void>;
  /** A power cut, without a farewell. Resolves to the monotonic milliseconds of the moment the host stood still. */
  powerOff(node: NodeId): Promise<number>;
  isOn(node: NodeId): boolean;
  /** How the host's processes are found and ended, for the watchdog and the observer; they live outside this process. */
  handle(node: NodeId): HostHandle;
  /** Where the addresses of a host that is on can be read every few milliseconds; null while it is off. */
  addressSource(node: NodeId): AddressSource | null;
  /** The argv and environment that make a command run in the host. */
  inHost(node: NodeId, argv: readonly string[]): Command;
  inClient(argv: readonly string[]): Command;
  /** Beside the router: cut off from a host together with the host's service network, as a cloud's API is. */
  inRouter(argv: readonly string[]): Command;
  cut(cut: Cut): Promise<void>;
  heal(node?: NodeId, network?: LabNetwork | 'all'): Promise<void>;
  readonly cuts: readonly Cut[];
  /** Packets for `address` go to `node`, or nowhere. Resolves when they do. */
  route(address: string, node: NodeId | null): Promise<void>;
  /** SIGSTOP to every process of the host; its wires stay up. */
  pause(node: NodeId): Promise<void>;
  resume(node: NodeId): Promise<void>;
  facts(node: NodeId): Promise<HostFacts>;
  /** Removes an address from the host behind understudy's back. */
  deleteAddress(node: NodeId, address: string): Promise<void>;
}

export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export type Start = (command: Command, options: StartOptions) => LabProcess;
