// The composition root of the controller: which implementation stands behind which token, and in which order things begin
// and end. Nothing else resolves from the container but the plugin registry, for agents.
import 'reflect-metadata';
import { container as root, type DependencyContainer } from 'tsyringe';
import { DesiredByNode } from '../api/plan-view.js';
import { ApiSources } from '../api/routes.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import { formatProblem } from '../config/problem.js';
import { GuardClient } from '../guard/client.js';
import { Captures } from '../journal/captures.js';
import { FileJournal } from '../journal/file-journal.js';
import { openLog, type RootLog } from '../log/log.js';
import type { NodeId } from '../model/ids.js';
import { explain } from '../planner/explain.js';
import { openConfig } from '../plugin/catalogue-of.js';
import type { Registry } from '../plugin/registry.js';
import { Fence } from '../scheduler/ports.js';
import { Exec } from '../system/exec.js';
import { Alarms } from '../system/alarms.js';
import { secureNetwork } from '../link/secure-socket.js';
import { systemClock } from '../system/clock.js';
import { readBootId } from '../system/boot.js';
import { systemFiles } from '../system/files-system.js';
import { systemLocalSockets } from '../system/framed-socket.js';
import { loadKeys } from '../system/key-file.js';
import { systemPageClocks } from '../system/page-file.js';
import { alarmFile, captureDir, guardSocket, journalDir, type Paths } from '../system/paths.js';
import { readAlarms } from './alarm-file.js';
import { privateDirectory } from '../system/private-directory.js';
import { startTimeOf } from '../system/process.js';
import { type ControllerParts, provideController } from './controller-core.js';
import { desiredFrom } from './desired-source.js';
import { fenceDevices } from './fence-devices.js';
import { registerAddresses, registerHost } from './host.js';
import { loadAgents } from './loaded-agents.js';
import { type DaemonOptions, levelOf, nodeOf, pathsOf } from './options.js';
import { processName } from './process-words.js';

/** A controller that is put together and has not begun. */
export interface ComposedController {
  readonly container: DependencyContainer;
  readonly parts: ControllerParts;
  readonly config: ClusterConfig;
  readonly registry: Registry;
  readonly node: NodeId;
  readonly paths: Paths;
  readonly log: RootLog;
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
  for (const directory of [paths.run, paths.state, paths.log]) privateDirectory(directory);
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
  const parts: ControllerParts = {
    config,
    node,
    bootId,
    platform: process.platform,
    paths,
    pid: process.pid,
    clock: systemClock,
    files: systemFiles,
    pageClocks: systemPageClocks(bootId),
    journal,
    logs: log,
    guard,
    desired: source,
    agents: await loadAgents(registry, source.desired()),
    hooks: registry,
    captures: new Captures({ directory: captureDir(paths), onTrouble: (reason) => log.warn('a capture cannot be written', { reason }) }),
    network: secureNetwork(loadKeys(config.keyFile), config.cluster, node),
  };
  provideController(container, parts);
  container.register<DesiredByNode>(DesiredByNode, { useValue: source });
  const exec = container.resolve<Exec>(Exec);
  const devices = fenceDevices({ config, node, registry, exec, clock: systemClock, log: (component) => log.child(component) });
  container.register<Fence>(Fence, { useValue: devices });
  const names = config.groups.flatMap(({ id: group, resources }) =>
    resources.flatMap(({ id: resource, use }) => {
      const name = registry.agent(use)?.process;
      return name === undefined ? [] : [processName({ process: `/${name}`, group, resource })];
    }),
  );
  const processAlarms = () => names.flatMap((name) => readAlarms(systemFiles, alarmFile(paths, name), bootId));
  container.register<ApiSources>(ApiSources, {
    useValue: { journalDirectory: journalDir(paths), registry, explain, alarms: () => [...alarms.all(), ...processAlarms()] },
  });
  return { container, parts, config, registry, node, paths, log, guard, alarms, journalTrouble: () => journalTrouble };
};
