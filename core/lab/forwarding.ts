// Where the loopback router sends what arrives for a floating address. Pure. A packet reaches a host only when the route says
// so, the host has power, and the host's own table has the address; else it is silently lost, as it would be on a wire.
import type { NodeId } from '../model/ids.js';

export interface ForwardingHost {
  readonly node: NodeId;
  readonly power: boolean;
  /** The host's service address, where its applications listen. */
  readonly address: string;
  /** Lines `IFACE ADDRESS PREFIX`: the addresses that the host's OS would have. */
  readonly table: string;
}

/** The host that answers for `floating`, or null when packets for it vanish. */
export const forwardTo = (floating: string, route: NodeId | null, hosts: readonly ForwardingHost[]): ForwardingHost | null => {
  const host = hosts.find(({ node }) => node === route);
  if (host === undefined || !host.power) return null;
  return host.table.split('\n').some((line) => line.split(/\s+/)[1] === floating) ? host : null;
};
