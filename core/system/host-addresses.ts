// The addresses of this host as read in the process (45 µs). Only interfaces that are up are in it, so it also says whether
// that is all there is: every interface the kernel counts packets for must be among them.
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { HostAddress } from './addresses.js';

export interface HostAddresses {
  readonly entries: readonly HostAddress[];
  /** No interface is missing: what is not here is nowhere on this host. */
  readonly whole: boolean;
}

export const readHostAddresses = (): HostAddresses => {
  const entries = listHostAddresses();
  return { entries, whole: isWhole(entries, readDevices()) };
};

export const listHostAddresses = (): readonly HostAddress[] =>
  Object.entries(networkInterfaces()).flatMap(([name, found]) => (found ?? []).map((entry) => fromNode(name, entry)));

/** Pure. `devices`: the text of /proc/net/dev; null where there is none. */
export const isWhole = (entries: readonly Pick<HostAddress, 'interface'>[], devices: string | null): boolean => {
  const shown = new Set(entries.map((entry) => entry.interface));
  const names = (devices ?? '').split('\n').flatMap((line) => /^\s*([^\s|]+?):/.exec(line)?.[1] ?? []);
  return names.length > 0 && names.every((name) => shown.has(name));
};

/** Of this process's own network namespace. */
const readDevices = (): string | null => {
  try {
    return readFileSync('/proc/net/dev', 'utf8');
  } catch {
    // No /proc, or not for us: then it is not known to be whole, and others are asked.
    return null;
  }
};

/** Addresses with a label come under the label's name (`eth0:vip`). */
const fromNode = (name: string, { address, cidr }: { address: string; cidr: string | null }): HostAddress => ({
  interface: name.split(':')[0] ?? name,
  address,
  prefixLength: Number(cidr?.split('/')[1] ?? 0),
  label: name.includes(':') ? name : null,
});
