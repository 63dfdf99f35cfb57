// Groups, resources and hooks of the file. Pure. Keys of a resource that understudy does not own are its agent's options:
// checked for every node when the catalogue is known, opaque otherwise. `${resource.key}` in them is followed for the check only.
import { HOOK_POINTS, type DesiredHook } from '../model/desired.js';
import type { Catalogue, CatalogueAgent } from './catalogue.js';
import type { GroupConfig, ResourceConfig } from './cluster-config.js';
import type { Findings } from './findings.js';
import { findCycle } from './order.js';
import { type ConfigPath, isRecord } from './problem.js';
import { type Referable, resolvedOptions } from './references.js';
import { groupSchema, hookPointSchema, hookSchema, ID_PATTERN, ID_RULE, RESOURCE_KEYS, resourceSchema } from './sections.js';
import { strict } from './walk-schema.js';

export interface GroupSurroundings {
  /** null when the nodes themselves could not be read. */
  readonly nodes: readonly string[] | null;
  readonly watchdog: boolean;
  readonly findings: Findings;
  readonly catalogue: Catalogue | undefined;
}

export const parseGroups = (raw: unknown, around: GroupSurroundings): readonly GroupConfig[] | null => {
  if (!isRecord(raw) || Object.keys(raw).length === 0) {
    around.findings.problem(['groups'], 'expected a table of groups: groups: { NAME: { resources: { … } } }');
    return null;
  }
  return Object.entries(raw).flatMap(([id, value]) => parseGroup(id, value, around) ?? []);
};

const parseGroup = (id: string, raw: unknown, around: GroupSurroundings): GroupConfig | null => {
  const { findings, nodes } = around;
  const path = ['groups', id];
  checkName(id, 'group', path, findings);
  const parsed = findings.check(groupSchema, raw ?? {}, path);
  // What is wrong with the group's own keys must not hide what is wrong inside it.
  const resources = parseResources(isRecord(raw) ? raw['resources'] : undefined, [...path, 'resources'], around);
  const hooks = parseHooks(isRecord(raw) ? raw['hooks'] : undefined, [...path, 'hooks'], findings);
  if (parsed === undefined) return null;
  const prefer = parsed.prefer ?? nodes ?? [];
  prefer.forEach((node, index) => {
    if (nodes !== null && !nodes.includes(node)) findings.unknownName([...path, 'prefer', index], 'node', node, nodes);
    if (prefer.indexOf(node) !== index) findings.problem([...path, 'prefer', index], `node "${node}" stands here twice`);
  });
  if (parsed.takeover === 'preempt') checkPreempt(path, resources, around);
  const { failback, takeover, confirm, failover } = parsed;
  return { id, prefer, failback, takeover, confirm, failover: { max: failover.max, withinMs: failover.within }, resources, hooks };
};

const parseResources = (raw: unknown, path: ConfigPath, around: GroupSurroundings): readonly ResourceConfig[] => {
  const { findings } = around;
  if (!isRecord(raw)) return [];
  const ids = Object.keys(raw);
  if (ids.length === 0) findings.problem(path, 'a group needs at least one resource');
  const referable = ids.flatMap((id) => referableOf(id, raw[id]));
  const resources = ids.flatMap((id) => parseResource(id, raw[id], [...path, id], referable, around) ?? []);
  const cycle = resources.length === ids.length ? findCycle(resources) : null;
  if (cycle !== null) {
    const implied = cycle.some((id) => resources.find((one) => one.id === id)?.after === null);
    findings.problem([...path, cycle[0]!], `"after" goes round in a circle: ${cycle.join(' after ')}`, {
      at: 'key',
      hint: implied ? 'a resource without "after" comes after the one before it in the file; after: [] makes it independent' : undefined,
    });
  }
  return resources;
};

const parseResource = (
  id: string,
  raw: unknown,
  path: ConfigPath,
  siblings: readonly Referable[],
  around: GroupSurroundings,
): ResourceConfig | null => {
  const { findings, nodes, catalogue } = around;
  const ids = siblings.map((one) => one.id);
  checkName(id, 'resource', path, findings);
  if (!isRecord(raw)) {
    findings.problem(path, 'expected a table of keys: { use: AGENT, … }');
    return null;
  }
  const own = Object.fromEntries(Object.entries(raw).filter(([key]) => RESOURCE_KEYS.includes(key)));
  const self = siblings.find((one) => one.id === id);
  const options = self?.options ?? {};
  const parsed = findings.check(resourceSchema, own, path);
  // What is wrong with understudy's keys must not hide what is wrong with the agent's.
  if (catalogue !== undefined && self !== undefined && typeof raw['use'] === 'string')
    checkOptions(self, siblings, path, around, catalogue);
  if (parsed === undefined) return null;
  parsed.after?.forEach((other, index) => {
    if (!ids.includes(other))
      findings.unknownName(
        [...path, 'after', index],
        'resource',
        other,
        ids.filter((one) => one !== id),
      );
  });
  for (const node of Object.keys(parsed.on))
    if (nodes !== null && !nodes.includes(node)) findings.unknownName([...path, 'on', node], 'node', node, nodes);
  return {
    id,
    use: parsed.use,
    after: parsed.after ?? null,
    critical: parsed.critical,
    everyMs: parsed.every ?? null,
    monitorTimeoutMs: parsed.timeouts.monitor ?? null,
    startTimeoutMs: parsed.timeouts.start ?? null,
    stopTimeoutMs: parsed.timeouts.stop ?? null,
    tolerance: parsed.tolerance,
    unknownLimit: parsed.unknownLimit,
    restart: { max: parsed.restart.max, withinMs: parsed.restart.within },
    options,
    on: parsed.on,
  };
};

/** As it stands, however wrong: what refers to it must find it. */
const referableOf = (id: string, raw: unknown): Referable => {
  const { use, after, on, ...rest }: Readonly<Record<string, unknown>> = isRecord(raw) ? raw : {};
  return {
    id,
    use: typeof use === 'string' ? use : '',
    after: Array.isArray(after) ? after.filter((one) => typeof one === 'string') : null,
    options: Object.fromEntries(Object.entries(rest).filter(([key]) => !RESOURCE_KEYS.includes(key))),
    on: overridesOf(on),
  };
};

const overridesOf = (on: unknown): ResourceConfig['on'] =>
  isRecord(on)
    ? Object.fromEntries(Object.entries(on).filter((entry): entry is [string, Record<string, unknown>] => isRecord(entry[1])))
    : {};

export const agentOf = (catalogue: Catalogue, type: string): CatalogueAgent | undefined =>
  Object.hasOwn(catalogue.agents, type) ? catalogue.agents[type] : undefined;

/** Every node's options must be right, not only this node's: the file is the same on all. */
const checkOptions = (
  resource: Referable,
  siblings: readonly Referable[],
  path: ConfigPath,
  { findings, nodes }: GroupSurroundings,
  catalogue: Catalogue,
): void => {
  const agent = agentOf(catalogue, resource.use);
  if (agent === undefined) {
    findings.unknownName([...path, 'use'], 'agent', resource.use, Object.keys(catalogue.agents), { lenient: catalogue.lenient === true });
    return;
  }
  for (const node of nodes ?? ['']) {
    const overridden = Object.hasOwn(resource.on, node) ? Object.keys(resource.on[node]!) : [];
    const place = (inner: ConfigPath) => (overridden.includes(String(inner[0])) ? [...path, 'on', node, ...inner] : [...path, ...inner]);
    const { options, problems } = resolvedOptions(resource, {
      group: String(path[1]),
      node,
      resources: siblings,
      agent: (type) => agentOf(catalogue, type),
    });
    for (const problem of problems) findings.problem(place(problem.path), problem.message, { hint: problem.hint });
    if (problems.length === 0) findings.check(strict(agent.options), options, path, { place, also: RESOURCE_KEYS });
  }
};

const parseHooks = (raw: unknown, path: ConfigPath, findings: Findings): readonly DesiredHook[] => {
  if (!isRecord(raw)) return [];
  return Object.entries(raw).flatMap(([key, list]) => {
    const point = hookPointSchema.safeParse(key);
    if (!point.success) {
      findings.unknownName([...path, key], 'hook point', key, HOOK_POINTS);
      return [];
    }
    if (!Array.isArray(list)) {
      findings.problem([...path, key], 'expected a list of hooks: [{ run: [/path/script, word] }]');
      return [];
    }
    return list.flatMap((value, index): DesiredHook[] => {
      const at = [...path, key, index];
      const hook = findings.check(hookSchema, value, at);
      if (hook === undefined) return [];
      if (hook.onFailure === 'abort' && !key.startsWith('before'))
        findings.problem([...at, 'onFailure'], `${key} runs when it has happened already: "abort" is for before… only`, {
          hint: 'ignore or fault',
        });
      const { run, timeout, ...rest } = hook;
      return [{ point: point.data, name: run[0]!, run: { kind: 'script', argv: run }, timeoutMs: timeout, ...rest }];
    });
  });
};

/** Takeover without waiting for W fences writes only, so each resource must be harmless when it lingers. */
const checkPreempt = (
  path: ConfigPath,
  resources: readonly ResourceConfig[],
  { findings, watchdog, catalogue, nodes }: GroupSurroundings,
): void => {
  const at = [...path, 'takeover'];
  if (!watchdog)
    findings.problem(at, 'takeover preempt needs a watchdog on every node: without one a stuck holder stops at no known time', {
      hint: 'set watchdog: device:/dev/watchdog, or takeover: lease',
    });
  if (catalogue === undefined) return;
  for (const resource of resources) {
    const agent = agentOf(catalogue, resource.use);
    if (agent === undefined) continue;
    const optionsOf = (node: string) =>
      resolvedOptions(resource, { group: String(path[1]), node, resources, agent: (type) => agentOf(catalogue, type) }).options;
    const safe = (nodes ?? ['']).every((node) => isFencedByEpoch(agent, agent.options.safeParse(optionsOf(node)).data));
    if (!safe)
      findings.problem(
        [...path, 'resources', resource.id],
        `takeover preempt needs resources that the epoch fences, and "${resource.id}" (${resource.use}) is not one`,
        { at: 'key', hint: 'takeover: lease, or see the README of the agent' },
      );
  }
};

/** `options` undefined: they could not be parsed, which is a problem of its own. */
export const isFencedByEpoch = (agent: CatalogueAgent, options: unknown): boolean =>
  typeof agent.fencedByEpoch === 'function'
    ? options === undefined || agent.fencedByEpoch(options as never)
    : (agent.fencedByEpoch ?? false);

const checkName = (id: string, what: string, path: ConfigPath, findings: Findings): void => {
  if (!ID_PATTERN.test(id)) findings.problem(path, `"${id}" is not a name for a ${what}: ${ID_RULE}`, { at: 'key' });
};
