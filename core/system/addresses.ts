// The only door to the addresses of this host's interfaces. Implementations: addresses-linux.ts (ip -j, one `ip monitor`),
// addresses-windows.ts (netsh/PowerShell command lines), addresses-table.ts (a file: the lab without root).
import { isIPv4, isIPv6 } from 'node:net';

export interface HostAddress {
  readonly interface: string;
  /** As the OS writes it, without the prefix: `192.168.0.10`, `fd00::10`. */
  readonly address: string;
  readonly prefixLength: number;
  readonly label: string | null;
}

export interface AddOptions {
  readonly label?: string;
  /** No connected route for the prefix. */
  readonly noPrefixRoute?: boolean;
}

export interface Addresses {
  list(signal?: AbortSignal): Promise<readonly HostAddress[]>;
  /** Makes it true that the interface has the address; nothing happens when it already has. */
  add(interfaceName: string, address: string, prefixLength: number, options?: AddOptions, signal?: AbortSignal): Promise<void>;
  /** Makes it true that no interface of the host has the address; nothing happens when none has. */
  remove(address: string, signal?: AbortSignal): Promise<void>;
  /** Tells neighbours where the address now is: gratuitous ARP, or unsolicited neighbour advertisements for IPv6. */
  announce(interfaceName: string, address: string, count: number, signal?: AbortSignal): Promise<void>;
  /** Loads what announcing needs (13 MB on Linux), so that the first announcement of a failover does not wait for it. */
  prepareToAnnounce?(): void;
  /**
   * Asks the network whether another host answers for the address (ARP probe, RFC 5227), for at most `waitMs`: its hardware
   * address, or null when none answered. Missing where there is no network to ask; IPv4 only.
   */
  owner?(interfaceName: string, address: string, waitMs: number, signal?: AbortSignal): Promise<string | null>;
  /** Calls back when any address of the host may have changed. Returns the way to end it. */
  watch(changed: () => void): () => void;
  /** The exact commands that add and remove would run, for `understudy plan`. */
  describe(op: 'add' | 'remove' | 'announce', interfaceName: string, address: string, prefixLength: number): string;
  /** The line of the hard-stop list (SAFETY a.6) that removes the address without Node: `addr DEV CIDR`, or `table FILE ADDRESS`. */
  hardStopLine(interfaceName: string, address: string, prefixLength: number): string;
}
export const Addresses: unique symbol = Symbol('Addresses');

/** One spelling for each address: IPv6 as RFC 5952 writes it. null when the text is no address. */
export const canonicalAddress = (text: string): string | null => {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes('%')) return null;
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
};

export const sameAddress = (one: string, other: string): boolean => {
  const canonical = canonicalAddress(one);
  return canonical !== null && canonical === canonicalAddress(other);
};
