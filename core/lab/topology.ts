// The plan of a lab: which hosts there are, on which addresses, under which names. Pure: nothing is made here.
// Invariant: two labs with different ids share no name of a namespace, a cgroup, a directory or a loopback address.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeId } from '../model/ids.js';
import { UnderstudyError } from '../errors/errors.js';

/** `netns`: hosts are network namespaces (root on Linux). `loopback`: hosts are addresses of 127.0.0.0/8 (no root). */
export type SubstrateKind = 'netns' | 'loopback';

/** The wires of a host; a cut names one of them, or `all`. */
export const LAB_NETWORKS = ['service', 'heartbeat-1', 'heartbeat-2', 'mirror'] as const;
export type LabNetwork = (typeof LAB_NETWORKS)[number];

export interface LabHostPlan {
  readonly node: NodeId;
  /** Counted from 1; part of every address of the host. */
  readonly index: number;
  readonly zone: string;
  readonly addresses: Readonly<Record<LabNetwork, string>>;
  readonly runDir: string;
  readonly stateDir: string;
  readonly logDir: string;
}

export interface LabTopology {
  readonly id: string;
  readonly kind: SubstrateKind;
  /** Loopback labs own 127.NUMBER.0.0/16; 0 for netns. */
  readonly number: number;
  /** Holds everything the lab keeps in files; removed by `down`. */
  readonly directory: string;
  readonly hosts: readonly LabHostPlan[];
  /** Addresses that float. They are on no wire: only the router's /32 route says where they are. */
  readonly floating: readonly string[];
  /** Ports that the loopback router forwards for floating addresses; netns routes every packet. */
  readonly ports: readonly number[];
  /** Where the lab's services listen, as hosts and the client reach them. */
  readonly serviceAddress: string;
}

export interface TopologyOptions {
  readonly id: string;
  readonly kind: SubstrateKind;
  readonly nodes: readonly NodeId[];
  readonly floating?: readonly string[];
  readonly ports?: readonly number[];
  readonly number?: number;
  /** Where lab directories lie; default the system's directory for temporary files. */
  readonly base?: string;
}

export const DEFAULT_FLOATING = '192.168.0.10';
export const DEFAULT_PORT = 8080;
const RESERVED = new Set(['router', 'switch', 'client']);

export const labDirectory = (id: string, base: string = tmpdir()): string => join(base, `understudy-lab-${id}`);
export const labControlSocket = (id: string, base?: string): string => join(labDirectory(id, base), 'control.sock');

/** The OS addresses of a loopback host: one line `IFACE ADDRESS PREFIX` each. */
export const addressTable = (topology: LabTopology, node: string): string => join(topology.directory, 'addresses', node);
export const clusterKey = (topology: LabTopology): string => join(topology.directory, 'cluster.key');
export const configFile = (topology: LabTopology): string => join(topology.directory, 'understudy.config.yaml');
export const dogSocket = (topology: LabTopology, node: string): string => join(topology.directory, 'dog', `${node}.sock`);

/** Where a client sends to reach a floating address: itself, or in loopback the router's address that stands for it. */
export const clientAddress = (topology: LabTopology, floating: string): string =>
  topology.kind === 'netns' ? floating : `127.${topology.number}.0.${10 + topology.floating.indexOf(floating)}`;

const refuse = (message: string): never => {
  throw new UnderstudyError('USAGE', message);
};

const addressesOf = (kind: SubstrateKind, number: number, index: number): LabHostPlan['addresses'] =>
  kind === 'netns'
    ? { service: `10.0.${index}.10`, 'heartbeat-1': `10.10.1.${index}`, 'heartbeat-2': `10.10.2.${index}`, mirror: `10.10.3.${index}` }
    : {
        service: `127.${number}.${index}.10`,
        'heartbeat-1': `127.${number}.101.${index}`,
        'heartbeat-2': `127.${number}.102.${index}`,
        mirror: `127.${number}.103.${index}`,
      };

/** Checks the names and gives every host its addresses and directories. Throws USAGE. */
export const planTopology = (options: TopologyOptions): LabTopology => {
  const { id, kind, nodes, number = 0 } = options;
  const floating = options.floating ?? [DEFAULT_FLOATING];
  // No hyphen: it divides the lab's id from the host's name in names of namespaces.
  if (!/^[a-z0-9]{1,12}$/.test(id)) refuse(`lab id "${id}" must be 1 to 12 lower-case letters and digits`);
  if (nodes.length < 1 || nodes.length > 16) refuse(`a lab has 1 to 16 hosts, not ${nodes.length}`);
  if (new Set(nodes).size !== nodes.length) refuse(`a lab cannot have two hosts of one name: ${nodes.join(', ')}`);
  for (const node of nodes) {
    if (!/^[a-z0-9][a-z0-9-]{0,19}$/.test(node)) refuse(`host name "${node}" must be 1 to 20 lower-case letters, digits and hyphens`);
    if (RESERVED.has(node)) refuse(`"${node}" cannot be a host's name: the lab's own ${node} has it`);
  }
  if (kind === 'loopback' && !(number >= 1 && number <= 254)) refuse(`a loopback lab needs a number from 1 to 254, not ${number}`);
  const directory = labDirectory(id, options.base);
  return {
    id,
    kind,
    number: kind === 'netns' ? 0 : number,
    directory,
    floating,
    ports: options.ports ?? [DEFAULT_PORT],
    serviceAddress: kind === 'netns' ? '10.9.0.1' : `127.${number}.0.1`,
    hosts: nodes.map((node, at) => ({
      node,
      index: at + 1,
      zone: `zone-${String.fromCharCode(97 + at)}`,
      addresses: addressesOf(kind, number, at + 1),
      runDir: join(directory, 'hosts', node, 'run'),
      stateDir: join(directory, 'hosts', node, 'state'),
      logDir: join(directory, 'hosts', node, 'log'),
    })),
  };
};

/** The host of that name. Throws NOT_FOUND with the names that exist. */
export const hostOf = (topology: LabTopology, node: string): LabHostPlan =>
  topology.hosts.find((host) => host.node === node) ??
  (() => {
    throw new UnderstudyError('NOT_FOUND', `no host "${node}" in lab ${topology.id}`, {
      hint: `Hosts: ${topology.hosts.map((host) => host.node).join(', ')}`,
    });
  })();
