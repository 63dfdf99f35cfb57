// A lab of real processes and packets for the drills in test/e2e: started, looked into, broken and taken down. It looks in
// from outside (sockets, journals, /proc), so that looking changes nothing. Invariant: every wait has a deadline and says
// what it last saw; `end` fails when anything of the lab is left.
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiClient, openApi } from '../../core/api/client.js';
import type { GroupView, StatusView } from '../../core/api/views.js';
import { reasonOf } from '../../core/errors/errors.js';
import { readJournal } from '../../core/journal/read-journal.js';
import { cleanLab, type LabClient, takeDown } from '../../core/lab/client.js';
import { isKillable, type Killable } from '../../core/lab/faults.js';
import type { ProbeReport } from '../../core/lab/gap-meter.js';
import { commandLineOf, environmentOf, pidsWithMark, processState } from '../../core/lab/host-processes.js';
import type { LabOptions, LabStatus } from '../../core/lab/lab.js';
import { type Finished, runProcess } from '../../core/lab/lab-process.js';
import { cgroupRoot, namespacesOf, netnsObstacle } from '../../core/lab/netns-cleanup.js';
import type { ProbePlan } from '../../core/lab/probe-process.js';
import { startLab } from '../../core/lab/start.js';
import { hostOf, labDirectory, type LabTopology } from '../../core/lab/topology.js';
import type { JournalEvent } from '../../core/model/event.js';
import { systemClock } from '../../core/system/clock.js';
import { journalDir, type Paths } from '../../core/system/paths.js';

/** Why these drills cannot run here, or null. In CI that is an error, not a reason to skip. */
export const drillObstacle = (): string | null => {
  const obstacle = netnsObstacle();
  if (obstacle !== null && process.env['CI']) throw new Error(`this suite cannot run in CI: ${obstacle}`);
  return obstacle;
};

/** One request of the emulator's call log. */
export interface CloudCall {
  readonly number: number;
  readonly action: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly principal: string | null;
  readonly fromMs: number;
  readonly untilMs: number | null;
  readonly outcome: string | null;
}

export interface Settled {
  readonly active: string;
  readonly standby: string;
  readonly epoch: number;
}

export interface DrillProbe {
  readonly report: ProbeReport | null;
  /** Requests without an answer since it began, those under way left out; resolves after two seconds of looking. A lost one stays lost. */
  lost(): Promise<number>;
  stop(): Promise<ProbeReport>;
}

const POLL_MS = 50;
const SETTLE_MS = 40_000;
/** What the lab of the drills is unless a drill says otherwise. */
const OPTIONS: LabOptions = { takeover: 'lease', confirm: 'renewal', timing: 'lan', bare: false };

export class DrillLab {
  private constructor(
    readonly client: LabClient,
    readonly topology: LabTopology,
    readonly config: string,
  ) {}

  static async start(
    id: string,
    options: Partial<LabOptions> = {},
    more: { readonly nodes?: readonly string[]; readonly floating?: readonly string[] } = {},
  ): Promise<DrillLab> {
    const client = await startLab({
      id,
      substrate: 'netns',
      nodes: more.nodes ?? ['a', 'b'],
      ...(more.floating ? { floating: more.floating } : {}),
      options: { ...OPTIONS, ...options },
    });
    const { topology, config } = await client.ask({ op: 'status' });
    return new DrillLab(client, topology, config);
  }

  /** Takes the lab down and fails when a process, namespace, cgroup or file of it is left. */
  async end(): Promise<void> {
    const { id, directory } = this.topology;
    this.client.close();
    const how = await takeDown(id);
    const left = [
      ...(how === 'ordered' ? [] : ['the lab did not answer the order to go down']),
      ...namespacesOf(id).map((name) => `namespace ${name}`),
      ...pidsWithMark(`UNDERSTUDY_LAB=${id}`).map((pid) => `process ${pid} ${commandLineOf(pid)?.join(' ')}`),
      ...[directory, join(cgroupRoot() ?? '/nowhere', `understudy-lab-${id}`)].filter((path) => existsSync(path)),
    ];
    if (left.length > 0) throw new Error(`left of lab ${id}: ${left.join('; ')}`);
  }

  /** For `after.always`: removes what a failed drill left. With $DRILL_KEEP its journals and logs go to that directory first. */
  static sweep(id: string): void {
    const { DRILL_KEEP: keep } = process.env;
    if (keep !== undefined && existsSync(labDirectory(id)))
      cpSync(labDirectory(id), join(keep, id), { recursive: true, filter: (path) => !path.endsWith('.sock') });
    cleanLab(id);
  }

  get nodes(): readonly string[] {
    return this.topology.hosts.map(({ node }) => node);
  }

  other(node: string): string {
    return this.nodes.find((each) => each !== node) ?? node;
  }

  paths(node: string): Paths {
    const { runDir, stateDir, logDir } = hostOf(this.topology, node);
    return { run: runDir, state: stateDir, log: logDir };
  }

  api(node: string): ApiClient {
    return openApi(this.paths(node));
  }

  status(): Promise<LabStatus> {
    return this.client.ask({ op: 'status' });
  }

  fault(...words: readonly string[]): Promise<string> {
    return this.client.ask({ op: 'fault', words });
  }

  exec(node: string, ...argv: readonly string[]): Promise<Finished> {
    return this.client.ask({ op: 'exec', node, argv, timeoutMs: 60_000 }, 70_000);
  }

  /** `understudy WORDS` typed on a node. */
  understudy(node: string, ...words: readonly string[]): Promise<Finished> {
    return this.exec(node, 'understudy', ...words);
  }

  /** The same, for commands that must succeed; resolves to what they print. */
  async done(node: string, ...words: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.understudy(node, ...words);
    if (exitCode === 0) return stdout;
    throw new Error(`understudy ${words.join(' ')} on ${node} ended with ${exitCode}: ${stderr || stdout}`);
  }

  /** What a node itself says of a group; null while its controller does not answer. */
  async view(node: string): Promise<StatusView | null> {
    try {
      const view = await this.api(node).status();
      return view.source === 'controller' ? view : null;
    } catch {
      // Off, starting, or killed by the drill: then it has no view.
      return null;
    }
  }

  async group(node: string, id?: string): Promise<GroupView | null> {
    return (await this.view(node))?.groups.find((group) => id === undefined || group.id === id) ?? null;
  }

  /** Waits until one node runs the group, says so itself, and every other node is ready to take it over. */
  settled(limitMs = SETTLE_MS, group?: string): Promise<Settled> {
    return this.until('one node online and the others ready', limitMs, async (last) => {
      const views = await Promise.all(this.nodes.map(async (node) => [node, await this.group(node, group)] as const));
      last(
        views
          .map(
            ([node, view]) =>
              `${node}: ${view === null ? 'no answer' : `${view.state}, active ${view.active}, ${view.because}, standbys ${JSON.stringify(view.standbys)}`}`,
          )
          .join('\n  '),
      );
      const online = views.filter(([node, view]) => view?.state === 'online' && view.active === node);
      const [active, view] = online[0] ?? [];
      if (
        online.length !== 1 ||
        active === undefined ||
        view == null ||
        views.some(([, each]) => each?.active !== active || each.epoch !== view.epoch)
      )
        return null;
      const own = views.flatMap(([node, each]) =>
        node === active ? view.standbys : (each?.standbys.filter((standby) => standby.node === node) ?? []),
      );
      return own.every(({ ready }) => ready) ? { active, standby: this.other(active), epoch: view.epoch } : null;
    });
  }

  /** Looks every 50 ms until `look` answers with something; `last` is told what is seen meanwhile, for the failure. */
  async until<T>(
    what: string,
    limitMs: number,
    look: (last: (seen: string) => void) => T | null | undefined | false | Promise<T | null | undefined | false>,
  ): Promise<T> {
    const endMs = systemClock.nowMs() + limitMs;
    let seen = 'nothing';
    for (;;) {
      const found = await look((text) => (seen = text));
      if (found !== null && found !== undefined && found !== false) return found;
      if (systemClock.nowMs() > endMs) throw new Error(`not within ${limitMs / 1000} s: ${what}; last seen:\n  ${seen}`);
      await systemClock.sleep(POLL_MS);
    }
  }

  /** Living processes of a role on a host. */
  async pids(node: string, role: Killable): Promise<readonly number[]> {
    const facts = (await this.status()).hosts.find((host) => host.node === node);
    const found = (facts?.pids ?? []).filter(
      (pid) => isKillable(role, commandLineOf(pid) ?? [], environmentOf(pid) ?? '') && !['Z', 'X', null].includes(processState(pid)),
    );
    // A shell that has just forked is seen twice.
    return found.filter((pid) => !found.includes(parentOf(pid)));
  }

  /** The one process of a role; throws when there are more or none. */
  async pid(node: string, role: Killable): Promise<number> {
    const found = await this.pids(node, role);
    if (found.length !== 1 || found[0] === undefined)
      throw new Error(
        `${found.length} processes are ${role} on ${node}: ${found.map((pid) => `${pid} ${commandLineOf(pid)?.join(' ')}`).join('; ')}`,
      );
    return found[0];
  }

  /** A host's journal, of all its boots; with `afterMs` only what happened later (CLOCK_MONOTONIC, which all hosts share). */
  async events(node: string, kind = '', afterMs = 0): Promise<readonly JournalEvent[]> {
    return (await readJournal(journalDir(this.paths(node)))).filter(
      (event) => event.monoMs >= afterMs && (event.kind === kind || event.kind.startsWith(kind === '' ? '' : `${kind}.`)),
    );
  }

  /** Everything the emulator was asked, the last 10 000 calls. */
  async calls(afterMs = 0): Promise<readonly CloudCall[]> {
    const done = await this.inRouter(
      '-e',
      `fetch('${this.endpoint}/_control/calls').then((answer) => answer.text()).then((text) => process.stdout.write(text))`,
    );
    return (JSON.parse(done) as CloudCall[]).filter(({ fromMs }) => fromMs >= afterMs);
  }

  /** What leads where in a route table, by destination, as the cloud has it. */
  async routes(table: string): Promise<Readonly<Record<string, string>>> {
    const script = `
      import { DescribeRouteTablesCommand, EC2Client } from '@aws-sdk/client-ec2';
      const ec2 = new EC2Client({ region: 'ap-northeast-2', endpoint: '${this.endpoint}', credentials: { accessKeyId: 'drill', secretAccessKey: 'drill' } });
      const { RouteTables } = await ec2.send(new DescribeRouteTablesCommand({ RouteTableIds: ['${table}'] }));
      process.stdout.write(JSON.stringify(RouteTables[0].Routes));`;
    const found = JSON.parse(await this.inRouter('--input-type=module', '-e', script)) as {
      DestinationCidrBlock?: string;
      DestinationIpv6CidrBlock?: string;
      NetworkInterfaceId?: string;
    }[];
    return Object.fromEntries(
      found.map((route) => [route.DestinationCidrBlock ?? route.DestinationIpv6CidrBlock ?? '', route.NetworkInterfaceId ?? '']),
    );
  }

  /** Somebody edits a route behind understudy's back, with the cloud's own client. */
  async editRoute(table: string, address: string, eni: string): Promise<void> {
    const destination = address.includes(':') ? `DestinationIpv6CidrBlock: '${address}/128'` : `DestinationCidrBlock: '${address}/32'`;
    const script = `
      import { EC2Client, ReplaceRouteCommand } from '@aws-sdk/client-ec2';
      const ec2 = new EC2Client({ region: 'ap-northeast-2', endpoint: '${this.endpoint}', credentials: { accessKeyId: 'drill', secretAccessKey: 'drill' } });
      await ec2.send(new ReplaceRouteCommand({ RouteTableId: '${table}', ${destination}, NetworkInterfaceId: '${eni}' }));`;
    await this.inRouter('--input-type=module', '-e', script);
  }

  /** Runs Node beside the router, where the lab's services are. */
  async inRouter(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await runProcess(
      { argv: ['ip', 'netns', 'exec', `us-${this.topology.id}-router`, process.execPath, ...args], env: {} },
      30_000,
    );
    if (exitCode !== 0) throw new Error(`beside the router: ${stderr}`);
    return stdout;
  }

  get endpoint(): string {
    return /endpoint: (http\S+)/.exec(readFileSync(this.config, 'utf8'))?.[1] ?? '';
  }

  /** A client of the first floating address; one at a time. Resolves two seconds after its first answer. */
  async probe(plan: Partial<Omit<ProbePlan, 'address'>> = {}): Promise<DrillProbe> {
    const forMs = plan.forMs ?? 300_000;
    const seen: { report: ProbeReport | null; failed: string | null; tallies: number; open: number[] } = {
      report: null,
      failed: null,
      tallies: 0,
      open: [],
    };
    const ended = this.client.ask(
      { op: 'probe', plan: { kind: 'udp', port: this.topology.ports[0] ?? 0, everyMs: 5, noteGapMs: 100, ...plan, forMs } },
      forMs + 40_000,
      (message) => {
        if (message.t !== 'tally') return;
        seen.report = message.report;
        seen.tallies += 1;
        seen.open = [...seen.open.slice(-7), message.report.sent - message.report.answered];
      },
    );
    ended.catch((thrown: unknown) => (seen.failed = reasonOf(thrown)));
    await this.until('a first answer to the probe', 15_000, (last) => {
      last(seen.failed ?? 'no answer');
      return (seen.report?.answered ?? 0) > 0;
    });
    // Before the neighbours have found each other the first requests of a client are lost: they are no drill's.
    const warm = seen.tallies + 8;
    await this.until('eight tallies of the probe', 10_000, () => seen.tallies >= warm);
    const before = Math.min(...seen.open);
    return {
      get report() {
        return seen.report;
      },
      lost: async () => {
        const enough = seen.tallies + 8;
        await this.until('eight tallies of the probe', 10_000, () => seen.tallies >= enough);
        return Math.max(0, Math.min(...seen.open) - before);
      },
      stop: async () => {
        await this.client.ask({ op: 'end-probe' });
        const end = await ended;
        if (end.t !== 'end') throw new Error('the probe ended without a report');
        return end.report;
      },
    };
  }

  /** What the observer saw of two nodes at once; empty in a safe run. */
  async overlaps(): Promise<readonly string[]> {
    const { observer } = await this.status();
    if (observer === null || observer.sweeps === 0) throw new Error('the observer did not look');
    return observer.overlaps.map(
      ({ thing, nodes, fromMs, toMs }) => `${thing} on ${nodes.join(' and ')} for ${Math.round(toMs - fromMs)} ms`,
    );
  }
}

const parentOf = (pid: number): number => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    // Ended between two reads.
    return 0;
  }
};

/** Memory in KiB and open files of a process; null when it is gone. */
export const footprint = (pid: number): { readonly rssKib: number; readonly files: number; readonly threads: number } | null => {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return { rssKib: number('VmRSS'), files: readdirSync(`/proc/${pid}/fd`).length, threads: number('Threads') };
  } catch {
    // Ended between two reads.
    return null;
  }
};
