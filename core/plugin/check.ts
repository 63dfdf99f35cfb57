// Does what arrived at the door have the shape of a plugin? Every error at once, in words its author can act on. Pure.
// The compiler checks TypeScript plugins already; this is for whatever else may come.
import { didYouMean } from '../config/nearest.js';
import { isRecord } from '../config/problem.js';
import { RESOURCE_KEYS, ROOT_KEYS } from '../config/sections.js';
import { keysAt } from '../config/walk-schema.js';
import { HOOK_POINTS } from '../model/desired.js';
import { API_VERSION, type Plugin } from './contract.js';

export type CheckedPlugin =
  | { readonly plugin: Plugin; readonly problems: readonly [] }
  | { readonly plugin: null; readonly problems: readonly string[] };

/** `exported` is the default export of the plugin's file. */
export const checkPlugin = (exported: unknown): CheckedPlugin => {
  if (!isRecord(exported))
    return { plugin: null, problems: ['has no plugin as its default export: write `export default definePlugin({ name, api: 1, … })`'] };
  const problems = [
    ...known(exported, PLUGIN_KEYS, ''),
    ...head(exported),
    ...MEMBERS.flatMap(([key, check]) => (exported[key] === undefined ? [] : check(exported[key]))),
    ...lackingProcesses(exported),
  ];
  return problems.length === 0 ? { plugin: exported as unknown as Plugin, problems: [] } : { plugin: null, problems };
};

/** A plugin that is no part of this package: guard and supervisor load no such code, and must know these two before it runs. */
export const onlyBuiltIn = ({ agents, processes }: Plugin): readonly string[] => [
  ...Object.entries(agents ?? {})
    .filter(([, { mirror, process }]) => mirror === true || process !== undefined)
    .map(([type]) => `agent ${type}: mirror and process are for built-in plugins only`),
  ...(processes === undefined ? [] : ['processes are for built-in plugins only']),
];

const lackingProcesses = ({ agents, processes }: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.entries(isRecord(agents) ? agents : {}).flatMap(([type, agent]) => {
    const process = isRecord(agent) ? agent['process'] : undefined;
    return typeof process !== 'string' || (isRecord(processes) && Object.hasOwn(processes, process))
      ? []
      : [`agent ${type}: there is no process "${process}" in processes`];
  });

/** A class, as told from a function that loads one: classes say so in their text, or have an agent's methods. */
export const isClass = (value: unknown): value is new (...dependencies: never[]) => unknown => {
  if (typeof value !== 'function') return false;
  const prototype: unknown = value.prototype;
  return (
    /^class[\s{]/.test(Function.prototype.toString.call(value)) ||
    (isRecord(prototype) && typeof prototype['monitor'] === 'function') ||
    'inject' in value
  );
};

/** What is missing from an agent's object or class for the operations its definition promises. */
export const agentProblems = (
  agent: unknown,
  { operations = 'on-off', promotable = false }: { readonly operations?: unknown; readonly promotable?: unknown },
): readonly string[] => {
  const members: unknown = isClass(agent) ? agent.prototype : agent;
  if (typeof members !== 'object' || members === null) return ['is neither an object of functions nor a class'];
  const needed = [
    'monitor',
    ...(operations === 'on-off' ? ['start', 'stop'] : operations === 'on-only' ? ['start'] : []),
    ...(promotable === true ? ['promote', 'demote'] : []),
  ];
  return [...needed, ...OPTIONAL_METHODS].flatMap((name) => {
    const member: unknown = (members as Readonly<Record<string, unknown>>)[name];
    if (typeof member === 'function' || (member === undefined && !needed.includes(name))) return [];
    // A class may make its methods as fields; then they are seen only on the instance.
    if (member === undefined && isClass(agent)) return [];
    return [
      member === undefined
        ? `has no function "${name}", which ${name === 'monitor' ? 'every agent needs' : `operations ${String(operations)}${promotable === true ? ', promotable' : ''} needs`}`
        : `"${name}" is not a function`,
    ];
  });
};
const OPTIONAL_METHODS = ['plan', 'watch', 'reassert'];

const PLUGIN_KEYS = [
  'name',
  'api',
  'version',
  'agents',
  'hooks',
  'arbiters',
  'fences',
  'commands',
  'processes',
  'labServices',
  'settings',
  'provide',
];
const AGENT_KEYS = [
  'summary',
  'options',
  'operations',
  'promotable',
  'mirror',
  'process',
  'outputs',
  'fencedByEpoch',
  'defaults',
  'permissions',
  'programs',
  'hardStop',
  'agent',
];
const HOOK_KEYS = ['order', 'limitMs', 'onFailure', 'on', 'run'];
const DEFAULT_KEYS = ['everyMs', 'monitorTimeoutMs', 'startTimeoutMs', 'stopTimeoutMs'];

const known = (value: Readonly<Record<string, unknown>>, keys: readonly string[], where: string): readonly string[] =>
  Object.keys(value)
    .filter((key) => !keys.includes(key))
    .map((key) => `${where}"${key}" is not known here (${didYouMean(key, keys) ?? `known: ${keys.join(', ')}`})`);

const head = ({ name, api, version }: Readonly<Record<string, unknown>>): readonly string[] => [
  ...(typeof name === 'string' && /^[a-z0-9@][a-z0-9@/._-]{0,99}$/.test(name) ? [] : ['name must be a text of a-z, 0-9 and "-"']),
  ...(api === API_VERSION
    ? []
    : [
        api === undefined
          ? `api is missing: write api: ${API_VERSION}`
          : `is written for api ${JSON.stringify(api)}, and this understudy speaks api ${API_VERSION}`,
      ]),
  ...(version === undefined || typeof version === 'string' ? [] : ['version must be a text']),
  ...((ROOT_KEYS as readonly unknown[]).includes(name) ? [`name "${String(name)}" is a key of the config that understudy owns`] : []),
];

const record =
  (what: string, each: (name: string, value: unknown) => readonly string[]) =>
  (value: unknown): readonly string[] =>
    isRecord(value)
      ? Object.entries(value).flatMap(([name, member]) => each(name, member).map((problem) => `${what} ${name}: ${problem}`))
      : [`${what}s must be an object with one entry for each ${what}`];

const lazy = (what: string) =>
  record(what, (_name, value) => (typeof value === 'function' ? [] : [`must be a function that loads it: () => import('./${what}.js')`]));

const isSchema = (value: unknown): boolean => isRecord(value) && '_zod' in value && typeof value['safeParse'] === 'function';
const oneOf = (value: Readonly<Record<string, unknown>>, key: string, words: readonly string[]): readonly string[] =>
  value[key] === undefined || words.includes(value[key] as string)
    ? []
    : [`${key} ${JSON.stringify(value[key])} is not one of: ${words.join(', ')}`];
const functions = (value: Readonly<Record<string, unknown>>, keys: readonly string[]): readonly string[] =>
  keys.filter((key) => value[key] !== undefined && typeof value[key] !== 'function').map((key) => `${key} must be a function`);
const positive = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0;

const agentDefinition = (type: string, value: unknown): readonly string[] => {
  if (!isRecord(value)) return ['must be an object: { summary, options, agent }'];
  const { summary, options, promotable, fencedByEpoch, defaults, agent } = value;
  const taken = isSchema(options) ? keysAt(options as never, []).filter((key) => RESOURCE_KEYS.includes(key)) : [];
  const lazyAgent = typeof agent === 'function' && !isClass(agent);
  return [
    ...(/^[a-z0-9][a-z0-9-]{0,62}$/.test(type) ? [] : ['a type is named with a-z, 0-9 and "-"']),
    ...known(value, AGENT_KEYS, ''),
    ...(typeof summary === 'string' && summary !== '' ? [] : ['summary is missing: one sentence']),
    ...(isSchema(options) ? [] : ['options must be a schema: options({ … }) with the builders of understudy/plugin']),
    ...taken.map((key) => `option "${key}" is a key that understudy owns in every resource`),
    ...oneOf(value, 'operations', ['on-off', 'on-only', 'none']),
    ...(promotable === undefined || typeof promotable === 'boolean' ? [] : ['promotable must be true or false']),
    ...(fencedByEpoch === undefined || typeof fencedByEpoch === 'boolean' || typeof fencedByEpoch === 'function'
      ? []
      : ['fencedByEpoch must be true, false or a function of the options']),
    ...(value['mirror'] === undefined || typeof value['mirror'] === 'boolean' ? [] : ['mirror must be true or false']),
    ...(value['process'] === undefined || typeof value['process'] === 'string' ? [] : ['process must be a name in processes']),
    ...functions(value, ['permissions', 'programs', 'hardStop', 'outputs']),
    ...(defaults === undefined
      ? []
      : isRecord(defaults)
        ? [
            ...known(defaults, DEFAULT_KEYS, 'defaults: '),
            ...Object.entries(defaults)
              .filter(([, ms]) => !positive(ms))
              .map(([key]) => `defaults: ${key} must be milliseconds greater than 0`),
          ]
        : ['defaults must be an object']),
    ...(agent === undefined
      ? ['agent is missing: an object of functions, a class, or a function that loads one']
      : lazyAgent
        ? []
        : agentProblems(agent, value).map((problem) => `agent ${problem}`)),
  ];
};

const hookDefinition = (point: string, value: unknown): readonly string[] => {
  if (!(HOOK_POINTS as readonly string[]).includes(point))
    return [`there is no such hook point (${didYouMean(point, HOOK_POINTS) ?? 'see docs/reference/hooks.md'})`];
  if (!isRecord(value)) return ['must be an object: { limitMs, run }'];
  return [
    ...known(value, HOOK_KEYS, ''),
    ...(typeof value['run'] === 'function' ? [] : ['run must be a function']),
    ...(positive(value['limitMs']) ? [] : ['limitMs must be milliseconds greater than 0: nothing waits for ever']),
    ...oneOf(value, 'order', ['pre', 'normal', 'post']),
    ...oneOf(value, 'onFailure', ['ignore', 'abort', 'fault']),
    ...oneOf(value, 'on', ['active', 'standby', 'all']),
    ...(value['onFailure'] === 'abort' && !point.startsWith('before') ? ['onFailure "abort" is for before… only'] : []),
  ];
};

const MEMBERS: readonly (readonly [string, (value: unknown) => readonly string[]])[] = [
  ['agents', record('agent', agentDefinition)],
  ['hooks', record('hook', hookDefinition)],
  ['arbiters', lazy('arbiter')],
  ['fences', lazy('fence')],
  ['commands', lazy('command')],
  ['processes', lazy('process')],
  ['labServices', lazy('lab service')],
  ['settings', (value) => (isSchema(value) ? [] : ['settings must be a schema: options({ … }) with the builders of understudy/plugin'])],
  ['provide', (value) => (typeof value === 'function' ? [] : ['provide must be a function'])],
];
