// Whether a config of the pages is one: parsed and checked with the built-in plugins, as `understudy check` does. A part of a
// config (some top-level keys, some resources, some hooks) is put into a whole one first.
import { isMap, parse, parseDocument, stringify } from 'yaml';
import { parseConfig, peekConfig } from '../../core/config/parse.js';
import { formatProblem } from '../../core/config/problem.js';
import { toDesired } from '../../core/config/to-desired.js';
import { HOOK_POINTS } from '../../core/model/desired.js';
import { agentsOf, catalogueOf } from '../../core/plugin/catalogue-of.js';
import { loadPlugins } from '../../core/plugin/load.js';

const REST = parse(`
cluster: orders
key: file:/etc/understudy/cluster.key
nodes:
  a: { networks: { service: 10.0.1.10, heartbeat: [10.0.11.10, 10.0.21.10] } }
  b: { networks: { service: 10.0.2.10, heartbeat: [10.0.12.10, 10.0.22.10] } }
arbiter: { use: witness, address: 10.0.3.10 }
watchdog: socket:/run/watchdog.sock
aws: { region: ap-northeast-2 }
groups: { web: { prefer: [a, b], resources: { probe: { use: app-script, start: [/bin/true] } } } }
`) as Config;

interface Group {
  readonly prefer?: readonly string[];
  readonly resources?: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}
type Config = Readonly<Record<string, unknown>> & { readonly groups: Readonly<Record<string, Group>> };

/** The whole config that a block is, or is a part of. */
const whole = (text: string): string => {
  const document = parseDocument(text, { merge: true });
  if (!isMap(document.contents) || document.has('cluster')) return text;
  const part = document.toJS() as Record<string, unknown>;
  const keys = Object.keys(part);
  const group = REST.groups['web']!;
  const isResources = keys.every(
    (key) => typeof (part[key] as { use?: unknown } | null)?.use === 'string' && key !== 'arbiter' && key !== 'fencing',
  );
  if (isResources) return stringify({ ...REST, groups: { web: { ...group, resources: part } } });
  if (keys.every((key) => (HOOK_POINTS as readonly string[]).includes(key)))
    return stringify({ ...REST, groups: { web: { ...group, hooks: part } } });
  if (keys.every((key) => ['hooks', 'resources', 'takeover', 'confirm', 'failback', 'failover', 'prefer'].includes(key)))
    return stringify({ ...REST, groups: { web: { ...group, ...part } } });
  const groups = Object.entries((part['groups'] as Record<string, Group> | undefined) ?? REST.groups).map(([name, one]) => [
    name,
    { ...group, ...one },
  ]);
  return stringify({ ...REST, ...part, groups: Object.fromEntries(groups) as unknown });
};

const read = async (text: string) => {
  const config = whole(text);
  const file = '/etc/understudy/understudy.config.yaml';
  const { arbiter, fences } = peekConfig(config, file);
  const registry = await loadPlugins({ directories: [] });
  // Plugins of users are not here: their agents are taken as they stand.
  const own = /^plugins:/m.test(config);
  const parsed = parseConfig(config, file, await catalogueOf(registry, { arbiter, fences, lenient: own }));
  if ('problems' in parsed) return { problems: parsed.problems.map((problem) => formatProblem(problem)), warnings: [] };
  const problems = parsed.config.nodes.flatMap(({ id }) => {
    const made = toDesired(parsed.config, agentsOf(registry), id);
    return 'problems' in made ? made.problems.map((problem) => formatProblem(problem)) : [];
  });
  return { problems, warnings: parsed.warnings.map(({ message }) => message) };
};

export const problemsOf = async (text: string): Promise<readonly string[]> => (await read(text)).problems;
export const warningsOf = async (text: string): Promise<readonly string[]> => (await read(text)).warnings;
