// The nodes of the file: names, addresses, and that the heartbeat networks are the same everywhere. Pure.
import type { NodeConfig } from './cluster-config.js';
import { type Findings } from './findings.js';
import { isRecord } from './problem.js';
import { ID_PATTERN, ID_RULE, nodeSchema } from './sections.js';

export interface CheckedNodes {
  /** Every name that stands in the file, also of nodes that are wrong otherwise. */
  readonly names: readonly string[];
  readonly nodes: readonly NodeConfig[];
  readonly heartbeatNetworks: number;
}

export const checkNodes = (raw: unknown, findings: Findings): CheckedNodes | null => {
  if (!isRecord(raw) || Object.keys(raw).length === 0) {
    findings.problem(['nodes'], 'expected a table of nodes: nodes: { a: { networks: { heartbeat: [10.0.1.10] } }, b: … }');
    return null;
  }
  const names = Object.keys(raw);
  const nodes = names.flatMap((id): NodeConfig[] => {
    if (!ID_PATTERN.test(id)) findings.problem(['nodes', id], `"${id}" is not a name for a node: ${ID_RULE}`, { at: 'key' });
    const parsed = findings.check(nodeSchema, raw[id] ?? {}, ['nodes', id]);
    if (parsed === undefined) return [];
    const { service = null, heartbeat, mirror = [] } = parsed.networks;
    return [{ id, zone: parsed.zone ?? null, networks: { service, heartbeat, mirror } }];
  });
  if (names.length === 1) findings.warning(['nodes'], 'one node alone: nothing can take over', { at: 'key' });
  checkHeartbeats(nodes, findings);
  checkMirrorNetworks(nodes, findings);
  checkAddresses(nodes, findings);
  return { names, nodes, heartbeatNetworks: nodes[0]?.networks.heartbeat.length ?? 1 };
};

const checkHeartbeats = (nodes: readonly NodeConfig[], findings: Findings): void => {
  const [first] = nodes;
  if (first === undefined) return;
  const count = first.networks.heartbeat.length;
  for (const { id, networks } of nodes) {
    const path = ['nodes', id, 'networks', 'heartbeat'];
    if (networks.heartbeat.length !== count)
      findings.problem(
        path,
        `${networks.heartbeat.length} heartbeat networks here, but ${count} on node ${first.id}: every node must be in every one, in the same order`,
      );
    networks.heartbeat.forEach((address, index) => {
      const twin = networks.heartbeat.findIndex((other, at) => at < index && subnetOf(other) === subnetOf(address) && other !== address);
      if (twin >= 0)
        findings.warning(
          [...path, index],
          `${address} seems to be in the same subnet as ${networks.heartbeat[twin]}: one fault would silence both networks`,
        );
    });
  }
  if (count === 1)
    findings.warning(
      ['nodes', first.id, 'networks', 'heartbeat'],
      'only one heartbeat network: its failure looks like the failure of the other node',
    );
};

/** Each path of a mirror needs both ends. */
const checkMirrorNetworks = ([first, ...others]: readonly NodeConfig[], findings: Findings): void => {
  const count = first?.networks.mirror.length ?? 0;
  for (const { id, networks } of others)
    if (networks.mirror.length !== count)
      findings.problem(
        ['nodes', id, 'networks', ...(networks.mirror.length === 0 ? [] : ['mirror'])],
        `${networks.mirror.length} mirror networks here, but ${count} on node ${first?.id}: every node must be in every one, in the same order`,
      );
};

/** An address belongs to one node, and a heartbeat address to one network. */
const checkAddresses = (nodes: readonly NodeConfig[], findings: Findings): void => {
  const owners = new Map<string, { readonly node: string; readonly what: string }>();
  for (const { id, networks } of nodes) {
    const path = ['nodes', id, 'networks'];
    const own = [
      ...networks.heartbeat.map((address, index) => ({ address, what: `heartbeat-${index + 1}`, at: [...path, 'heartbeat', index] })),
      ...(networks.service === null ? [] : [{ address: networks.service, what: 'service', at: [...path, 'service'] }]),
      ...networks.mirror.map((address) => ({ address, what: 'mirror', at: [...path, 'mirror'] })),
    ];
    for (const { address, what, at } of own) {
      const owner = owners.get(address);
      if (owner === undefined) owners.set(address, { node: id, what });
      else if (owner.node !== id) findings.problem(at, `${address} is already the ${owner.what} address of node ${owner.node}`);
      else if (what.startsWith('heartbeat'))
        findings.problem(at, `${address} is already the ${owner.what} address of this node: two heartbeat networks must share nothing`);
      else if (what === 'service')
        findings.warning(at, `${address} is also the ${owner.what} address: clients' traffic and heartbeats share one network`);
    }
  }
};

/** The smallest subnet in common use (/28, /64): two addresses inside one are certainly in one network. */
const subnetOf = (address: string): string => {
  if (!address.includes(':')) {
    const bytes = address.split('.').map(Number);
    return [...bytes.slice(0, 3), (bytes[3] ?? 0) >> 4].join('.');
  }
  const [head = '', tail] = address.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined ? left : [...left, ...Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0'), ...right];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
};
