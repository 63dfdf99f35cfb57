// The observer's eyes: its own process, outside every host, that looks every 20 ms at who has each floating address and who
// runs each application, and reports changes. Invariant: an overlap is reported only when a host still had the thing after
// another was seen to have it, so that a change between two reads is never mistaken for one.
import { readFileSync } from 'node:fs';
import type { NodeId } from '../model/ids.js';
import { systemClock } from '../system/clock.js';
import { allPids, commandLineOf, environmentOf, HOST_MARK, type HostHandle, pidsOf, processState } from './host-processes.js';
import type { Look } from './observations.js';
import type { AddressSource } from './substrate.js';

export interface ObserverPlan {
  readonly hosts: readonly { readonly node: NodeId; readonly handle: HostHandle }[];
  readonly floating: readonly string[];
  readonly everyMs: number;
  /** A process counts as an application when its environment has UNDERSTUDY_RESOURCE and its command line this word. */
  readonly application: string;
}

/** To the process: where a host's addresses can be read from now on. */
export interface ToObserver {
  readonly t: 'addresses';
  readonly node: NodeId;
  readonly source: AddressSource | null;
}

/** `sweeps` says how well it looked: an observer that was kept from looking proves nothing. */
export type FromObserver =
  | { readonly t: 'look'; readonly look: Look }
  | { readonly t: 'sweeps'; readonly count: number; readonly longestPauseMs: number };

const plan = JSON.parse(process.argv[2] ?? '{}') as ObserverPlan;
const sources = new Map<NodeId, AddressSource | null>();
process.on('message', (message: ToObserver) => sources.set(message.node, message.source));
// Without the lab there is nobody to tell.
process.on('disconnect', () => process.exit(0));
const tell = (message: FromObserver): void => {
  if (process.connected) process.send?.(message);
};

const read = (file: string): string => {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    // The host went off between two looks: it has nothing.
    return '';
  }
};

const hexOf = (address: string): string => {
  const [head = '', tail] = address.split('::');
  const left = head.split(':').filter(Boolean);
  const right = (tail ?? '').split(':').filter(Boolean);
  const middle = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...middle, ...right]
    .map((part) => part.padStart(4, '0'))
    .join('')
    .toLowerCase();
};

/** Interfaces' own addresses are the `host LOCAL` leaves of the trie; reading it costs a few microseconds, `ip -j` milliseconds. */
const hasAddress = (node: NodeId, address: string): boolean => {
  const source = sources.get(node) ?? null;
  if (source === null) return false;
  if (source.kind === 'table')
    return read(source.path)
      .split('\n')
      .some((line) => line.split(' ')[1] === address);
  if (address.includes(':')) return read(`/proc/${source.pid}/net/if_inet6`).includes(hexOf(address));
  return new RegExp(`\\|-- ${address.replaceAll('.', '\\.')}\\n\\s+/32 host LOCAL`).test(read(`/proc/${source.pid}/net/fib_trie`));
};

type PlannedHost = ObserverPlan['hosts'][number];

/** What a process is: the resource it runs, if it is an application, and the host that its environment names. */
interface Known {
  readonly resource: string | null;
  readonly mark: string | null;
  readonly looks: number;
}
const known = new Map<number, Known>();
/** A process just forked still shows what its parent was; after so many looks it is what it is. */
const SETTLED_LOOKS = 10;

const inspect = (pid: number): Known => {
  const cached = known.get(pid);
  if (cached && cached.looks >= SETTLED_LOOKS) {
    if (cached.resource === null) return cached;
    const state = processState(pid);
    return state === null || state === 'Z' || state === 'X' ? { ...cached, resource: null } : cached;
  }
  const environment = `\0${environmentOf(pid) ?? ''}`;
  const [, name] = /\0UNDERSTUDY_RESOURCE=([^\0]+)\0/.exec(environment) ?? [];
  const [, host] = new RegExp(`\0(${HOST_MARK}=[^\0]+)\0`).exec(environment) ?? [];
  const application = name !== undefined && (commandLineOf(pid) ?? []).some((word) => word.includes(plan.application));
  const found = { resource: application ? name : null, mark: host ?? null, looks: (cached?.looks ?? 0) + 1 };
  known.set(pid, found);
  return found;
};

/** The applications that run on a host; `living` is every process of the machine, asked for only without cgroups. */
const applicationsOf = ({ handle }: PlannedHost, living: () => readonly number[]): ReadonlySet<string> => {
  const mine =
    handle.kind === 'cgroup'
      ? pidsOf(handle).map(inspect)
      : living()
          .map(inspect)
          .filter(({ mark }) => mark === handle.mark);
  return new Set(mine.flatMap(({ resource }) => resource ?? []));
};

/** Looks again at whoever had it: one who had it both before and after the others were seen to have it did share it. */
const confirmed = (first: readonly PlannedHost[], again: (host: PlannedHost) => boolean): NodeId[] =>
  (first.length < 2 ? first : first.filter(again)).map(({ node }) => node);

const last = new Map<string, string>();
const report = (thing: string, holders: readonly NodeId[], atMs: number): void => {
  const text = holders.join(' ');
  if ((last.get(thing) ?? '') === text) return;
  last.set(thing, text);
  tell({ t: 'look', look: { atMs, thing, holders } });
};

const applications = new Set<string>();

const sweep = (): void => {
  const atMs = systemClock.nowMs();
  for (const address of plan.floating) {
    const has = ({ node }: PlannedHost) => hasAddress(node, address);
    report(`address ${address}`, confirmed(plan.hosts.filter(has), has), atMs);
  }
  const living = plan.hosts.some(({ handle }) => handle.kind === 'mark') ? allPids() : plan.hosts.flatMap(({ handle }) => pidsOf(handle));
  const running = new Map(plan.hosts.map((host) => [host.node, applicationsOf(host, () => living)]));
  for (const found of running.values()) for (const resource of found) applications.add(resource);
  for (const resource of applications) {
    const first = plan.hosts.filter(({ node }) => running.get(node)?.has(resource));
    report(
      `application ${resource}`,
      confirmed(first, (host) => applicationsOf(host, allPids).has(resource)),
      atMs,
    );
  }
  // Pids come back with other processes behind them: what is gone is forgotten.
  const alive = new Set(living);
  for (const pid of known.keys()) if (!alive.has(pid)) known.delete(pid);
};

let count = 0;
let longestPauseMs = 0;
let previousMs = systemClock.nowMs();
systemClock.every(plan.everyMs, () => {
  const nowMs = systemClock.nowMs();
  longestPauseMs = Math.max(longestPauseMs, nowMs - previousMs);
  previousMs = nowMs;
  count += 1;
  sweep();
});
systemClock.every(1000, () => {
  tell({ t: 'sweeps', count, longestPauseMs });
  longestPauseMs = 0;
});
