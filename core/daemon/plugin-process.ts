// `understudy process PLUGIN/NAME GROUP.RESOURCE`: the long-lived process of one resource (DESIGN 3). Puts together what the
// plugin's part is given, begins it and ends it. Ending it stops nothing else; its supervisor starts it again.
import 'reflect-metadata';
import type { ClusterConfig } from '../config/cluster-config.js';
import { isRecord } from '../config/problem.js';
import { strict } from '../config/walk-schema.js';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { GuardClient } from '../guard/client.js';
import { FileJournal } from '../journal/file-journal.js';
import { stderrLog } from '../log/stderr-log.js';
import type { NodeId } from '../model/ids.js';
import { type BuiltInAgent, type BuiltInAgents, builtInAgents, type ProcessPlan } from '../plugin/builtin-agents.js';
import type { Log, ProcessDefinition, ProcessNetworks, StartedProcess } from '../plugin/contract.js';
import { readBootId } from '../system/boot.js';
import { systemClock } from '../system/clock.js';
import { systemExec } from '../system/exec-system.js';
import { systemFiles } from '../system/files-system.js';
import { systemLocalSockets } from '../system/framed-socket.js';
import { loadKeys } from '../system/key-file.js';
import { openPageReader, systemPageClocks } from '../system/page-file.js';
import { alarmFile, guardSocket, journalDir, leasePage } from '../system/paths.js';
import { privateDirectory } from '../system/private-directory.js';
import { startTimeOf } from '../system/process.js';
import { systemRandom } from '../system/random.js';
import { AlarmFile } from './alarm-file.js';
import { loadGuardConfig } from './guard-config.js';
import { optionsOn, ownerOf } from './local-resource.js';
import { type DaemonOptions, levelOf, nodeOf, pathsOf } from './options.js';
import { type ProcessChoice, processName, processWords } from './process-words.js';
import { notifyReady } from './sd-notify.js';

/** Where config and plugins come from: the real ones, or a test's. */
export interface ProcessSources {
  readonly load?: typeof loadGuardConfig;
  readonly agentsOf?: () => Promise<BuiltInAgents>;
}

/** Resolves when it serves. Rejects with the coded errors of config, key and plugin. */
export const startPluginProcess = async (
  which: ProcessChoice,
  options: DaemonOptions,
  { load = loadGuardConfig, agentsOf = builtInAgents }: ProcessSources = {},
): Promise<{ stop(): Promise<void> }> => {
  const { env } = process;
  const paths = pathsOf(options);
  for (const directory of [paths.run, paths.state, paths.log]) privateDirectory(directory);
  const name = processName(which);
  const log = stderrLog({ component: name, level: levelOf(options, env), wallIso: systemClock.wallIso, env });
  const { config, processes } = await load(options, paths, env);
  const node = nodeOf(config, options, env);
  const plan = planOf(processes, which, node, config);
  const agents = await agentsOf();
  const optionsOf = (id: NodeId) => optionsOn(config, agents, which, id);
  const owner = ownerOf(config, agents, which);
  const definition = await loadDefinition(owner, which);
  const bootId = readBootId(paths);
  const [own, settings, keys] = [optionsOf(node), settingsOf(config, owner), loadKeys(config.keyFile)];
  const networksOf = (id: NodeId): ProcessNetworks => config.nodes.find((one) => one.id === id)?.networks ?? { mirror: [], heartbeat: [] };
  const guard = new GuardClient({
    sockets: systemLocalSockets,
    path: guardSocket(paths),
    clock: systemClock,
    role: 'mirror',
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? '',
  });
  const journal = new FileJournal({
    directory: journalDir(paths),
    source: name,
    node,
    bootId,
    clock: systemClock,
    onTrouble: (reason) => reason !== null && log.error('the journal cannot be written', { reason }),
  });
  const alarms = new AlarmFile(systemFiles, alarmFile(paths, name), bootId, log);
  const page = openPageReader(leasePage(paths, which.group), systemPageClocks(bootId), systemFiles);
  const exec = systemExec();
  guard.start();
  journal.write({
    kind: 'process.start',
    group: which.group,
    resource: which.resource,
    because: `${name} began`,
    data: { pid: process.pid },
  });
  const close = async (): Promise<void> => {
    guard.close();
    page.close();
    await journal.close();
  };
  const beginning = definition.start({
    cluster: config.cluster,
    node,
    bootId,
    group: which.group,
    resource: which.resource,
    options: own,
    settings,
    networks: networksOf(node),
    peers: plan.nodes.filter((id) => id !== node).map((id) => ({ node: id, networks: networksOf(id), options: optionsOf(id) })),
    port: plan.port,
    timing: config.timing,
    paths,
    keys,
    leasePage: page,
    guard,
    clock: systemClock,
    random: systemRandom,
    files: systemFiles,
    sockets: systemLocalSockets,
    exec,
    log,
    journal,
    alarms,
    fail: (error) => fail(log, error),
  });
  const started: StartedProcess = await beginning.catch(async (error: unknown) => {
    await close();
    throw error;
  });
  log.info('process ready', { node, process: which.process, group: which.group, resource: which.resource });
  await notifyReady(exec, log, env);
  return {
    stop: async () => {
      await started.stop();
      await close();
    },
  };
};

const planOf = (plans: readonly ProcessPlan[], which: ProcessChoice, node: NodeId, { file }: ClusterConfig): ProcessPlan => {
  const plan = plans.find(
    ({ process, group, resource }) => process === which.process && group === which.group && resource === which.resource,
  );
  if (plan === undefined) {
    const known = plans.map((each) => processWords(each).join(' '));
    throw new UnderstudyError(
      'USAGE',
      `${file} has no process ${processWords(which).join(' ')}; ${known.length === 0 ? 'no resource in it has one' : `there are: ${known.join(', ')}`}`,
    );
  }
  if (!plan.nodes.includes(node))
    throw new UnderstudyError(
      'USAGE',
      `${which.group} runs on ${plan.nodes.join(' and ')}, and this node is ${node}: there is nothing to do here`,
    );
  return plan;
};

const loadDefinition = async ({ plugin }: BuiltInAgent, { process }: ProcessChoice): Promise<ProcessDefinition> => {
  const load = plugin.processes?.[process.split('/')[1] ?? ''];
  if (load === undefined) throw new UnderstudyError('PLUGIN_INVALID', `plugin ${plugin.name} has no process ${process}`);
  const loaded: unknown = await load();
  const definition: unknown = isRecord(loaded) && isRecord(loaded['default']) ? loaded['default'] : loaded;
  if (!isRecord(definition) || typeof definition['start'] !== 'function')
    throw new UnderstudyError('PLUGIN_INVALID', `plugin ${plugin.name}: process ${process} lacks start`);
  return definition as unknown as ProcessDefinition;
};

const settingsOf = ({ settings, file }: ClusterConfig, { plugin }: BuiltInAgent): unknown => {
  if (plugin.settings === undefined) return undefined;
  const parsed = strict(plugin.settings).safeParse(settings[plugin.name] ?? {});
  if (parsed.success) return parsed.data;
  throw new UnderstudyError('CONFIG_INVALID', `${file}: ${plugin.name}: ${reasonOf(parsed.error)}`);
};

/** The next one begins from what is on disk: nothing is tidied up. */
const fail = (log: Log, error: unknown): never => {
  log.error('this process cannot go on', { reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exit(1);
};
