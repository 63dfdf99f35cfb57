// Text of a config file to ClusterConfig, or everything that is wrong with it at once, each with file:line:column. Pure.
// With a catalogue the options of resources, arbiter and plugins are checked too; without (the guard) they stay opaque.
// Invariant: never throws; the cfgHash does not depend on whether a catalogue was given.
import { dirname, isAbsolute, join } from 'node:path';
import type { Catalogue } from './catalogue.js';
import { checkNodes } from './check-nodes.js';
import type { ClusterConfig, PluginReference, NodeConfig } from './cluster-config.js';
import { readDocument } from './document.js';
import { Findings } from './findings.js';
import { findStaticKeys, findTraps, tooDeep } from './forbidden.js';
import { agentOf, parseGroups } from './parse-groups.js';
import { meaningHash } from './meaning-hash.js';
import { mirrorProblems } from './mirrors.js';
import { nearest } from './nearest.js';
import { checkNoStore } from './no-store.js';
import { withoutStore } from '../model/no-store.js';
import { fencesIn, parseFencing } from './parse-fencing.js';
import { checkPorts, parseArbiter, parseSettings, parseTiming } from './parse-sections.js';
import { configError, isRecord, type Problem } from './problem.js';
import {
  addressesSchema,
  clusterSchema,
  failsafeSchema,
  isRootKey,
  keySchema,
  pluginsSchema,
  portsSchema,
  ROOT_KEYS,
  watchdogSchema,
} from './sections.js';

export type ParsedConfig =
  | { readonly config: ClusterConfig; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] };

/** `file` is where the text came from: paths in it are relative to its directory, and problems name it. */
export const parseConfig = (text: string, file: string, catalogue?: Catalogue): ParsedConfig => {
  const { document, problems } = readDocument(text, file);
  if (document === null) return { problems, warnings: [] };
  const findings = new Findings(document, problems);
  const root = document.value;
  if (!isRecord(root)) findings.problem([], 'the file must be a table of keys: cluster, key, nodes, arbiter, groups, …');
  else if (tooDeep(root)) findings.problem([], 'something is nested deeper than 32 levels, or refers to itself');
  else findTraps(root, findings);
  const config = isRecord(root) && findings.problems.length === problems.length ? parseRoot(root, file, findings, catalogue) : null;
  const warnings = findings.sorted(findings.warnings);
  return config === null || findings.problems.length > 0
    ? { problems: findings.sorted(findings.problems), warnings }
    : { config, warnings };
};

/** The config, or CONFIG_INVALID / TIMING_UNSAFE with every problem in its message. */
export const parseConfigOrThrow = (
  text: string,
  file: string,
  catalogue?: Catalogue,
): { readonly config: ClusterConfig; readonly warnings: readonly Problem[] } => {
  const parsed = parseConfig(text, file, catalogue);
  if ('problems' in parsed) throw configError(parsed.problems);
  return parsed;
};

/** What must be loaded before the file can be checked with a catalogue; best effort, for a file that may be wrong. */
export const peekConfig = (
  text: string,
  file: string,
): {
  readonly plugins: readonly PluginReference[];
  readonly arbiter: string | null;
  readonly fences: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
} => {
  const root = readDocument(text, file).document?.value;
  if (!isRecord(root)) return { plugins: [], arbiter: null, fences: [], settings: {} };
  const plugins = Array.isArray(root['plugins']) ? root['plugins'].filter(isPluginReference) : [];
  const arbiter = isRecord(root['arbiter']) && typeof root['arbiter']['use'] === 'string' ? root['arbiter']['use'] : null;
  const settings = Object.fromEntries(Object.entries(root).filter(([key]) => !isRootKey(key)));
  return { plugins, arbiter, fences: fencesIn(root['fencing']), settings };
};

const isPluginReference = (one: unknown): one is PluginReference =>
  typeof one === 'string' || (isRecord(one) && typeof one['use'] === 'string' && typeof one['integrity'] === 'string');

const parseRoot = (
  root: Record<string, unknown>,
  file: string,
  findings: Findings,
  catalogue: Catalogue | undefined,
): ClusterConfig | null => {
  for (const key of ['cluster', 'key', 'nodes', 'arbiter', 'groups'] as const) {
    const misspelt = Object.keys(root).some((other) => !isRootKey(other) && nearest(other, ROOT_KEYS) === key);
    if ((root[key] === undefined || root[key] === null) && !misspelt)
      findings.problem([key], `"${key}" is missing`, { at: 'key', hint: NEEDED[key] });
  }
  const present = <T>(key: (typeof ROOT_KEYS)[number], parse: (value: unknown) => T): T | undefined =>
    root[key] === undefined || root[key] === null ? undefined : parse(root[key]);
  const cluster = present('cluster', (value) => findings.check(clusterSchema, value, ['cluster']));
  const key = present('key', (value) => findings.check(keySchema, value, ['key']));
  const nodes = present('nodes', (value) => checkNodes(value, findings)) ?? null;
  const watchdog = findings.check(watchdogSchema, root['watchdog'] ?? 'none', ['watchdog']);
  const addresses = findings.check(addressesSchema, root['addresses'] ?? 'system', ['addresses']);
  const plugins = findings.check(pluginsSchema, root['plugins'] ?? [], ['plugins']);
  const ports = findings.check(portsSchema, root['ports'] ?? {}, ['ports']);
  checkPorts({ ...portsSchema.parse({}), ...(isRecord(root['ports']) ? root['ports'] : {}) }, findings);
  const failsafe = findings.check(failsafeSchema, root['failsafe'] ?? {}, ['failsafe']);
  const fencing = parseFencing(root['fencing'], { watchdog, nodes: nodes?.names ?? null, findings, catalogue });
  const groups =
    present('groups', (value) => parseGroups(value, { nodes: nodes?.names ?? null, watchdog: watchdog !== 'none', findings, catalogue })) ??
    null;
  const timing = parseTiming(
    root['timing'],
    {
      heartbeatNetworks: nodes?.heartbeatNetworks ?? 2,
      preempt: groups?.some(({ takeover }) => takeover === 'preempt') ?? false,
      // A device counts whole seconds, and the end of the guard that has it open pets it once more.
      watchdogGranularityMs: watchdog?.startsWith('device:') ? 1000 : 0,
      watchdogLingers: watchdog?.startsWith('device:') ?? false,
    },
    findings,
  );
  const arbiter = present('arbiter', (value) => parseArbiter(value, timing.renewMs, findings, catalogue));
  if (arbiter !== undefined && withoutStore({ arbiter }))
    checkNoStore({ nodes: nodes?.names.length ?? null, heartbeatNetworks: nodes?.heartbeatNetworks ?? null, fencing, groups }, findings);
  if (catalogue !== undefined && groups !== null && arbiter !== undefined)
    for (const { path, message, hint } of mirrorProblems({ groups, arbiter }, (type) => agentOf(catalogue, type)?.mirror === true))
      findings.problem(path, message, { at: 'key', hint });
  const settings = parseSettings(root, findings, catalogue);
  findStaticKeys(root, findings);
  if (
    cluster === undefined ||
    key === undefined ||
    nodes === null ||
    watchdog === undefined ||
    addresses === undefined ||
    plugins === undefined
  )
    return null;
  if (ports === undefined || fencing === undefined || failsafe === undefined || groups === null || arbiter === undefined) return null;

  const directory = dirname(file);
  const build = (locate: (path: string) => string): ClusterConfig => ({
    cluster,
    file,
    keyFile: locate(key.slice('file:'.length)),
    nodes: nodes.nodes as readonly NodeConfig[],
    arbiter,
    fencing,
    timing,
    failsafe: { peerLost: failsafe.peerLost, arbiterLossMoveMs: failsafe.arbiterLossMove },
    ports,
    watchdog: watchdogFrom(watchdog, locate),
    addresses: addresses === 'system' ? { kind: 'system' } : { kind: 'table', path: locate(addresses.slice('table:'.length)) },
    plugins,
    groups: groups.map((group) => ({
      ...group,
      hooks: group.hooks.map((hook) =>
        hook.run.kind === 'script'
          ? {
              ...hook,
              run: { ...hook.run, argv: hook.run.argv.map((word, index) => (index === 0 && /^\.\.?\//.test(word) ? locate(word) : word)) },
            }
          : hook,
      ),
    })),
    settings,
    cfgHash: '',
  });
  return { ...build((path) => (isAbsolute(path) ? path : join(directory, path))), cfgHash: meaningHash(build((path) => path)) };
};

const NEEDED = {
  cluster: 'a name, e.g. cluster: orders',
  key: 'key: file:/etc/understudy/cluster.key, made by: understudy keygen FILE',
  nodes: 'nodes: { a: { networks: { heartbeat: [10.0.1.10] } }, b: … }',
  arbiter: 'arbiter: { use: witness, … }',
  groups: 'groups: { NAME: { resources: { … } } }',
} as const;

const watchdogFrom = (text: string, locate: (path: string) => string): ClusterConfig['watchdog'] => {
  const [driver = '', ...rest] = text.split(':');
  return driver === 'device' || driver === 'socket' ? { driver, path: locate(rest.join(':')) } : { driver: 'none' };
};
