// The composition root of the controller: which implementation stands behind which token, and in which order things begin
// and end. Nothing else resolves from the container but the plugin registry, for agents.
import 'reflect-metadata';
import { mkdirSync } from 'node:fs';
import { container as root, type DependencyContainer } from 'tsyringe';
import { DesiredByNode } from '../api/plan-view.js';
import { ApiSources } from '../api/routes.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import { formatProblem } from '../config/problem.js';
import { GuardClient } from '../guard/client.js';
import { Captures } from '../journal/captures.js';
import { FileJournal } from '../journal/file-journal.js';
import { Journal } from '../journal/journal.js';
import { LinkOptions } from '../link/link.js';
import { openLog, type RootLog } from '../log/log.js';
import type { BootId, NodeId } from '../model/ids.js';
import { explain } from '../planner/explain.js';
import { plan } from '../planner/plan.js';
import { openConfig } from '../plugin/catalogue-of.js';
import type { Registry } from '../plugin/registry.js';
import { HookSource } from '../scheduler/hooks.js';
import {
  Agents,
  CaptureStore,
  DesiredSource,
  Fence,
  GuardDoor,
  LeasePages,
  Logs,
  noFence,
  PeerReports,
  Planner,
  Self,
} from '../scheduler/ports.js';
import { Link } from '../link/link.js';
import { Alarms } from '../system/alarms.js';
import { secureNetwork } from '../link/secure-socket.js';
import { systemClock } from '../system/clock.js';
import { readBootId } from '../system/boot.js';
import { systemFiles } from '../system/files-system.js';
import { systemLocalSockets } from '../system/framed-socket.js';
import { loadKeys } from '../system/key-file.js';
import { openPageReader, type PageReader, systemPageClocks } from '../system/page-file.js';
import { captureDir, guardSocket, journalDir, leasePage, type Paths } from '../system/paths.js';
import { startTimeOf } from '../system/process.js';
import { registerScheduler } from './compose-scheduler.js';
import { desiredFrom } from './desired-source.js';
import { registerAddresses, registerHost } from './host.js';
import { loadAgents } from './loaded-agents.js';
import { type DaemonOptions, levelOf, nodeOf, pathsOf } from './options.js';

/** A controller that is put together and has not begun. */
export interface ComposedController {
  readonly container: DependencyContainer;
  readonly config: ClusterConfig;
  readonly registry: Registry;
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly paths: Paths;
  readonly log: RootLog;
  readonly journal: FileJournal;
  readonly guard: GuardClient;
  /** Of this controller; shown by its status. */
  readonly alarms: Alarms;
  /** Why the journal cannot be written now, else null. */
  readonly journalTrouble: () => string | null;
}

export interface ComposeOptions extends DaemonOptions {
  readonly env?: NodeJS.ProcessEnv;
}

/** Rejects with the coded errors of config, plugins, key and journal. */
export const composeController = async (options: ComposeOptions): Promise<ComposedController> => {
  const env = options.env ?? process.env;
  const paths = pathsOf(options);
  for (const directory of [paths.run, paths.state, paths.log]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  const container = root.createChildContainer();
  registerHost(container);
  const { config, registry, warnings } = await openConfig({ config: options.config, env, lenient: true, container, clock: systemClock });
  const node = nodeOf(config, options, env);
  registerAddresses(container, config, node);
  const bootId = readBootId(paths);
  const log = openLog({ directory: paths.log, name: 'controller', level: levelOf(options, env), env });
  for (const warning of warnings) log.warn('the config has a doubtful place', { place: formatProblem(warning) });
  const alarms = new Alarms();
  let journalTrouble: string | null = null;
  const onTrouble = (reason: string | null) => {
    journalTrouble = reason;
    alarms.set('journal', reason === null ? null : `the journal cannot be written: ${reason}`);
    if (reason !== null) log.error('the journal cannot be written', { reason });
  };
  const journal = new FileJournal({ directory: journalDir(paths), source: 'controller', node, bootId, clock: systemClock, onTrouble });
  const source = desiredFrom(config, registry, node);
  const guard = new GuardClient({
    sockets: systemLocalSockets,
    path: guardSocket(paths),
    clock: systemClock,
    role: 'controller',
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? '',
  });
  const provide = <T>(token: symbol, value: T) => container.register<T>(token, { useValue: value });
  provide<Journal>(Journal, journal);
  provide<Self>(Self, { cluster: config.cluster, node, bootId, runDir: paths.run, logDir: paths.log, platform: process.platform });
  provide<DesiredSource>(DesiredSource, source);
  provide<DesiredByNode>(DesiredByNode, source);
  provide<Planner>(Planner, plan);
  provide<GuardDoor>(GuardDoor, guardDoor(guard));
  provide<LeasePages>(LeasePages, leasePages(paths, bootId));
  provide<Agents>(Agents, await loadAgents(registry, source.desired()));
  provide<HookSource>(HookSource, registry);
  provide<CaptureStore>(
    CaptureStore,
    new Captures({ directory: captureDir(paths), onTrouble: (reason) => log.warn('a capture cannot be written', { reason }) }),
  );
  provide<Logs>(Logs, log);
  provide<Fence>(
    Fence,
    noFence(),
  );
  provide<LinkOptions>(LinkOptions, linkOptions(config, node));
  container.registerSingleton(Link);
  provide<PeerReports>(PeerReports, { of: (peer) => container.resolve(Link).of(peer) });
  provide<ApiSources>(ApiSources, {
    journalDirectory: journalDir(paths),
    registry,
    explain,
    alarms: () => alarms.all(),
  });
  registerScheduler(container);
  return { container, config, registry, node, bootId, paths, log, journal, guard, alarms, journalTrouble: () => journalTrouble };
};

const guardDoor = (guard: GuardClient): GuardDoor => ({
  view: () => guard.view(),
  wills: (wills, loopLagMs) => void guard.sendWills(wills, loopLagMs),
  orders: (request) => guard.orders(request),
  fenced: (evidence) => void guard.fenced(evidence),
});

const leasePages = (paths: Paths, bootId: BootId): LeasePages => {
  const clocks = systemPageClocks(bootId);
  const readers = new Map<string, PageReader>();
  return {
    read: (group) => {
      let reader = readers.get(group);
      if (reader === undefined) readers.set(group, (reader = openPageReader(leasePage(paths, group), clocks, systemFiles)));
      return reader.read();
    },
  };
};

const linkOptions = (config: ClusterConfig, node: NodeId): LinkOptions => {
  const addressesOf = (id: NodeId) => config.nodes.find((one) => one.id === id)?.networks.heartbeat ?? [];
  return {
    network: secureNetwork(loadKeys(config.keyFile), config.cluster, node),
    port: config.ports.link,
    own: addressesOf(node),
    peers: Object.fromEntries(config.nodes.filter(({ id }) => id !== node).map(({ id }) => [id, addressesOf(id)])),
  };
};
