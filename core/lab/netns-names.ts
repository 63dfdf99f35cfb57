// Names, addresses and `ip` lines of the netns substrate. Pure: the substrate runs what is written here.
//
//   client ── router ──┬─ eth0 of host 1      one /24 each; the router's /32 route says where a floating address is
//               │      └─ eth0 of host 2
//            services (on the router's lo)    switch: one bridge per heartbeat network and one for the mirror
import type { LabHostPlan, LabNetwork } from './topology.js';

export type Place = 'router' | 'switch' | 'client';

export const namespaceOf = (labId: string, place: string): string => `us-${labId}-${place}`;
export const cgroupName = (labId: string): string => `understudy-lab-${labId}`;

/** The host's own interface on each network, and the far end of its cable. */
export const INTERFACE: Readonly<Record<LabNetwork, string>> = {
  service: 'eth0',
  'heartbeat-1': 'hb1',
  'heartbeat-2': 'hb2',
  mirror: 'mirror',
};
const BRIDGE: Readonly<Partial<Record<LabNetwork, string>>> = { 'heartbeat-1': 'br-hb1', 'heartbeat-2': 'br-hb2', mirror: 'br-mirror' };

export interface FarEnd {
  readonly place: 'router' | 'switch';
  readonly name: string;
}
export const farEnd = (network: LabNetwork, index: number): FarEnd =>
  network === 'service' ? { place: 'router', name: `svc${index}` } : { place: 'switch', name: `${INTERFACE[network]}-${index}` };

const NETWORKS = Object.keys(INTERFACE) as LabNetwork[];

/** Kernel settings of a namespace, written to /proc/sys/net before its interfaces exist. */
export const settings = (place: Place | 'host'): readonly string[] => [
  'ipv4/conf/all/rp_filter=0',
  'ipv4/conf/default/rp_filter=0',
  // No address or advertisement that nobody asked for.
  ...['all', 'default'].flatMap((scope) => [
    `ipv6/conf/${scope}/accept_ra=0`,
    `ipv6/conf/${scope}/autoconf=0`,
    `ipv6/conf/${scope}/accept_dad=0`,
  ]),
  'ipv6/conf/default/addr_gen_mode=1',
  ...(place === 'router' ? ['ipv4/ip_forward=1', 'ipv6/conf/all/forwarding=1'] : []),
  ...(place === 'host' ? ['ipv4/ip_nonlocal_bind=1', 'ipv6/ip_nonlocal_bind=1'] : []),
];

/** `ip` lines for the root namespace: the cable between client and router. */
export const clientCable = (labId: string): string[] => [
  `link add eth0 netns ${namespaceOf(labId, 'client')} type veth peer name client netns ${namespaceOf(labId, 'router')}`,
];

export const placeLines = (place: Place, serviceAddress: string): string[] => {
  if (place === 'switch')
    return ['link set lo up', ...Object.values(BRIDGE).flatMap((bridge) => [`link add ${bridge} type bridge`, `link set ${bridge} up`])];
  if (place === 'client')
    return [
      'link set lo up',
      'addr add 10.8.0.10/24 dev eth0',
      'addr add fd00:8::10/64 dev eth0 nodad',
      'addr add fe80::10/64 dev eth0 nodad',
      'link set eth0 up',
      'route add default via 10.8.0.1',
      'route add default via fd00:8::1',
    ];
  return [
    'link set lo up',
    `addr add ${serviceAddress}/32 dev lo`,
    'addr add 10.8.0.1/24 dev client',
    'addr add fd00:8::1/64 dev client nodad',
    // Neighbours are asked for from the link-local address when the packet's own source is not on that interface.
    'addr add fe80::1/64 dev client nodad',
    'link set client up',
  ];
};

/** `ip` lines for the root namespace: the host's cables. */
export const hostCables = (labId: string, { node, index }: LabHostPlan): string[] =>
  NETWORKS.map((network) => {
    const far = farEnd(network, index);
    return `link add ${INTERFACE[network]} netns ${namespaceOf(labId, node)} type veth peer name ${far.name} netns ${namespaceOf(labId, far.place)}`;
  });

export const hostLines = ({ index, addresses }: LabHostPlan): string[] => [
  'link set lo up',
  ...NETWORKS.flatMap((network) => [`addr add ${addresses[network]}/24 dev ${INTERFACE[network]}`, `link set ${INTERFACE[network]} up`]),
  `addr add fd00:a:${index}::10/64 dev eth0 nodad`,
  'addr add fe80::10/64 dev eth0 nodad',
  `route add default via 10.0.${index}.1`,
  `route add default via fd00:a:${index}::1`,
];

export const farLines = (place: 'router' | 'switch', { index }: LabHostPlan): string[] =>
  place === 'router'
    ? [
        `addr add 10.0.${index}.1/24 dev svc${index}`,
        `addr add fd00:a:${index}::1/64 dev svc${index} nodad`,
        `addr add fe80::1/64 dev svc${index} nodad`,
        `link set svc${index} up`,
      ]
    : NETWORKS.filter((network) => network !== 'service').flatMap((network) => {
        const { name } = farEnd(network, index);
        return [`link set ${name} master ${BRIDGE[network]}`, `link set ${name} up`];
      });

export const farRemoval = (place: 'router' | 'switch', { index }: LabHostPlan): string[] =>
  NETWORKS.map((network) => farEnd(network, index))
    .filter((far) => far.place === place)
    .map(({ name }) => `link del ${name}`);

const lengthOf = (address: string): number => (address.includes(':') ? 128 : 32);

/** The router's line for a floating address: to a host, or into nothing (no ICMP answer, as in a VPC). */
export const routeLine = (address: string, host: LabHostPlan | null): string => {
  const prefix = `${address}/${lengthOf(address)}`;
  if (host === null) return `route replace blackhole ${prefix} metric 5`;
  const via = address.includes(':') ? `fd00:a:${host.index}::10` : host.addresses.service;
  return `route replace ${prefix} via ${via} dev svc${host.index} metric 5`;
};

/** Packets that claim to come from an address which is nowhere are dropped as well: the source half of the check. */
export const sourceRule = (op: 'add' | 'del', address: string): string =>
  `rule ${op} from ${address}/${lengthOf(address)} prio 100 blackhole`;
