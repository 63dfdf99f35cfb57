// Hosts as network namespaces with real packets: root on Linux. A host is a namespace for its wires and a cgroup for its
// processes; both die at power-off and are made anew at power-on, so nothing volatile survives. The far ends of its cables
// lie in the router and on switches, so that a dead host's peer keeps its carrier.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeId } from '../model/ids.js';
import { UnderstudyError } from '../errors/errors.js';
import { makeHostDirectories } from './host-directories.js';
import { blackout, type CgroupHandle, HOST_MARK, LAB_MARK, pidsOf, removeCgroup, signalAll } from './host-processes.js';
import { type LabProcess, startProcess, tool } from './lab-process.js';
import { addDrop, dropsOf, removeDrop } from './netns-cuts.js';
import { cgroupRoot, removeNetns } from './netns-cleanup.js';
import {
  cgroupName,
  clientCable,
  farLines,
  farRemoval,
  hostCables,
  hostLines,
  INTERFACE,
  namespaceOf,
  type Place,
  placeLines,
  routeLine,
  settings,
  sourceRule,
} from './netns-names.js';
import type { AddressSource, Command, Cut, HostFacts, Substrate } from './substrate.js';
import { hostOf, type LabHostPlan, type LabNetwork, type LabTopology } from './topology.js';

const APPLICATIONS = 'applications';
/** A kernel may have been started without it; then the lab is IPv4 alone. */
const IPV6 = existsSync('/proc/sys/net/ipv6');
const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join('');

export class NetnsSubstrate implements Substrate {
  readonly #cgroup: string;
  /** A process in each living host's namespace and outside its cgroup, through which /proc shows the host's addresses. */
  readonly #anchors = new Map<NodeId, LabProcess>();
  readonly #routes = new Map<string, NodeId | null>();
  readonly #sourceRules = new Set<string>();
  #cuts: Cut[] = [];

  constructor(readonly topology: LabTopology) {
    const root = cgroupRoot();
    if (root === null)
      throw new UnderstudyError('LAB_FAILED', 'could not make the lab: no cgroup v2 is mounted', {
        hint: 'mount -t cgroup2 none /sys/fs/cgroup/unified',
      });
    this.#cgroup = join(root, cgroupName(topology.id));
  }

  get cuts(): readonly Cut[] {
    return this.#cuts;
  }

  async up(): Promise<void> {
    removeNetns(this.topology.id);
    mkdirSync(this.topology.directory, { recursive: true, mode: 0o700 });
    mkdirSync(this.#cgroup);
    for (const place of ['router', 'switch', 'client'] as const) this.#makeNamespace(place);
    this.#ip(null, clientCable(this.topology.id));
    for (const place of ['router', 'switch', 'client'] as const) this.#ip(place, placeLines(place, this.topology.serviceAddress));
    for (const address of this.topology.floating) await this.route(address, null);
  }

  async down(): Promise<void> {
    removeNetns(this.topology.id);
    this.#anchors.clear();
    rmSync(this.topology.directory, { recursive: true, force: true });
  }

  async powerOn(node: NodeId): Promise<void> {
    const host = hostOf(this.topology, node);
    if (this.isOn(node)) return;
    makeHostDirectories(host);
    mkdirSync(join(this.handle(node).cgroup, APPLICATIONS), { recursive: true });
    this.#makeNamespace(node, 'host');
    this.#ip(null, hostCables(this.topology.id, host));
    this.#ip(node, hostLines(host));
    for (const place of ['router', 'switch'] as const) this.#ip(place, farLines(place, host));
    this.#anchors.set(
      node,
      startProcess(
        { ...this.#enter(node, ['sleep', 'infinity']), env: { [LAB_MARK]: this.topology.id } },
        { logFile: join(host.logDir, 'host.log') },
      ),
    );
    for (const cut of this.#cuts.filter((each) => each.node === node)) this.#drop(host, cut);
    await this.#reroute(node);
  }

  async powerOff(node: NodeId): Promise<number> {
    const host = hostOf(this.topology, node);
    const atMs = blackout(this.handle(node));
    const anchor = this.#anchors.get(node);
    this.#anchors.delete(node);
    if (!existsSync(`/run/netns/${namespaceOf(this.topology.id, node)}`)) return atMs;
    anchor?.kill('SIGKILL');
    await anchor?.exited;
    for (const place of ['router', 'switch'] as const) this.#ip(place, farRemoval(place, host));
    tool(['ip', 'netns', 'del', namespaceOf(this.topology.id, node)]);
    removeCgroup(this.handle(node).cgroup);
    await this.#reroute(node);
    return atMs;
  }

  isOn(node: NodeId): boolean {
    return this.#anchors.has(node);
  }

  handle(node: NodeId): CgroupHandle {
    const { runDir } = hostOf(this.topology, node);
    return {
      kind: 'cgroup',
      cgroup: join(this.#cgroup, node),
      namespace: namespaceOf(this.topology.id, node),
      interfaces: Object.values(INTERFACE),
      volatile: [runDir],
    };
  }

  addressSource(node: NodeId): AddressSource | null {
    const anchor = this.#anchors.get(node);
    return anchor === undefined ? null : { kind: 'net', pid: anchor.pid };
  }

  inHost(node: NodeId, argv: readonly string[]): Command {
    if (!this.isOn(node))
      throw new UnderstudyError('LAB_FAILED', `could not run ${argv[0]} on ${node}: the host is off`, {
        hint: `understudy lab fault power-on ${node}`,
      });
    const enter = 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"';
    return {
      argv: ['/bin/sh', '-c', enter, 'sh', this.handle(node).cgroup, ...this.#enter(node, argv).argv],
      // Applications live below the host's own cgroup, so that its power ends them too.
      env: {
        [LAB_MARK]: this.topology.id,
        [HOST_MARK]: `${this.topology.id}/${node}`,
        UNDERSTUDY_CGROUP: join(this.handle(node).cgroup, APPLICATIONS),
      },
    };
  }

  inClient(argv: readonly string[]): Command {
    return this.#enter('client', argv);
  }

  inRouter(argv: readonly string[]): Command {
    return this.#enter('router', argv);
  }

  async cut(cut: Cut): Promise<void> {
    this.#drop(hostOf(this.topology, cut.node), cut);
    this.#cuts.push(cut);
  }

  async heal(node?: NodeId, network?: LabNetwork | 'all'): Promise<void> {
    const healed = (cut: Cut) =>
      (node === undefined || cut.node === node) && (network === undefined || network === 'all' || cut.network === network);
    const gone = this.#cuts.filter(healed);
    this.#cuts = this.#cuts.filter((cut) => !healed(cut));
    for (const cut of gone)
      for (const drop of dropsOf(this.topology.id, hostOf(this.topology, cut.node), cut))
        if (existsSync(`/run/netns/${drop.namespace}`)) removeDrop(drop);
    // Another cut may hold the same interface.
    for (const cut of this.#cuts) this.#drop(hostOf(this.topology, cut.node), cut);
  }

  async route(address: string, node: NodeId | null): Promise<void> {
    this.#routes.set(address, node);
    const host = node !== null && this.isOn(node) ? hostOf(this.topology, node) : null;
    const blind = node === null;
    const rule = this.#sourceRules.has(address) === blind ? [] : [sourceRule(blind ? 'add' : 'del', address)];
    this.#ip('router', [routeLine(address, host), ...rule], address.includes(':') ? ['-6'] : []);
    if (blind) this.#sourceRules.add(address);
    else this.#sourceRules.delete(address);
  }

  async pause(node: NodeId): Promise<void> {
    signalAll(this.handle(node), 'SIGSTOP');
  }

  async resume(node: NodeId): Promise<void> {
    signalAll(this.handle(node), 'SIGCONT');
  }

  async facts(node: NodeId): Promise<HostFacts> {
    if (!this.isOn(node)) return { node, power: false, pids: [], addresses: [] };
    const own = new Set(Object.values(hostOf(this.topology, node).addresses));
    const listed = JSON.parse(tool(['ip', '-n', namespaceOf(this.topology.id, node), '-j', 'addr', 'show'])) as {
      addr_info: { local: string; scope: string }[];
    }[];
    const addresses = listed.flatMap(({ addr_info }) =>
      addr_info
        .filter(({ local, scope }) => scope === 'global' && !own.has(local) && !local.startsWith('fd00:a:'))
        .map(({ local }) => local),
    );
    return { node, power: true, pids: pidsOf(this.handle(node)), addresses };
  }

  async deleteAddress(node: NodeId, address: string): Promise<void> {
    const listed = tool(['ip', '-n', namespaceOf(this.topology.id, node), '-o', 'addr', 'show']);
    const found = listed.split('\n').find((line) => line.includes(` ${address}/`));
    const [, device, , prefixed] = found?.split(/\s+/) ?? [];
    if (device === undefined || prefixed === undefined)
      throw new UnderstudyError('NOT_FOUND', `host ${node} has no address ${address}`, { hint: 'See understudy lab status.' });
    this.#ip(node, [`addr del ${prefixed} dev ${device}`]);
  }

  #enter(place: string, argv: readonly string[]): Command {
    return {
      argv: ['nsenter', `--net=/run/netns/${namespaceOf(this.topology.id, place)}`, '--', ...argv],
      env: { [LAB_MARK]: this.topology.id },
    };
  }

  #ip(place: string | null, batch: readonly string[], family: readonly string[] = []): void {
    tool(
      ['ip', ...family, ...(place === null ? [] : ['-n', namespaceOf(this.topology.id, place)]), '-batch', '-'],
      lines(batch.filter((line) => IPV6 || !/\b(fd00|fe80):/.test(line))),
    );
  }

  #makeNamespace(name: string, kind: Place | 'host' = name as Place): void {
    tool(['ip', 'netns', 'add', namespaceOf(this.topology.id, name)]);
    // A kernel without IPv6 has none of its settings, and needs none.
    const script = settings(kind)
      .map((line) => line.split('='))
      .map(([file, value]) => `f=/proc/sys/net/${file}; [ ! -e $f ] || echo ${value} >$f`);
    tool([...this.#enter(name, ['/bin/sh', '-ec', script.join('\n')]).argv]);
  }

  #drop(host: LabHostPlan, cut: Cut): void {
    for (const drop of dropsOf(this.topology.id, host, cut))
      if (existsSync(`/run/netns/${drop.namespace}`) && this.isOn(host.node)) addDrop(drop);
  }

  /** Routes to a host go nowhere while it is off, and back to it when it is on: its interface was another one. */
  async #reroute(node: NodeId): Promise<void> {
    for (const [address, target] of this.#routes) if (target === node) await this.route(address, node);
  }
}
