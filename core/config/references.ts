// `${resource.key}` in an option: what another resource of the group provides on this node, or an option of it as it stands in
// the file (DESIGN 8). Pure. Invariant: only what has started before may be referred to, so nothing goes round in a circle.
import type { GroupId, NodeId } from '../model/ids.js';
import type { CatalogueAgent } from './catalogue.js';
import { didYouMean } from './nearest.js';
import { predecessors } from './order.js';
import { type ConfigPath, isRecord } from './problem.js';
import { isSecretName } from './secret-reference.js';
import { strict } from './walk-schema.js';

/** A resource as far as a reference needs to know it. */
export interface Referable {
  readonly id: string;
  readonly use: string;
  readonly after: readonly string[] | null;
  readonly options: Readonly<Record<string, unknown>>;
  readonly on: Readonly<Record<NodeId, Readonly<Record<string, unknown>>>>;
}

export interface ReferenceSurroundings {
  readonly group: GroupId;
  readonly node: NodeId;
  readonly resources: readonly Referable[];
  readonly agent: (type: string) => CatalogueAgent | undefined;
}

export interface ReferenceProblem {
  /** Inside the resource's options. */
  readonly path: ConfigPath;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** The options of a resource as one node has them, before references are followed. */
const optionsOn = (resource: Pick<Referable, 'options' | 'on'>, node: string): Readonly<Record<string, unknown>> =>
  Object.hasOwn(resource.on, node) ? { ...resource.options, ...resource.on[node] } : resource.options;

const REFERENCE = /\$\{([a-z0-9][a-z0-9-]*)\.([A-Za-z][A-Za-z0-9-]*)\}/g;

/** The options on the node with every reference followed. What cannot be followed stays as it is and is a problem. */
export const resolvedOptions = (
  resource: Referable,
  around: ReferenceSurroundings,
  /** Whoever refers to this one: a file may go round in a circle, which is told elsewhere. */
  from: readonly string[] = [],
): { readonly options: Readonly<Record<string, unknown>>; readonly problems: readonly ReferenceProblem[] } => {
  const problems: ReferenceProblem[] = [];
  const before = allBefore(resource.id, around.resources);
  const walk = (value: unknown, path: ConfigPath): unknown => {
    if (typeof value === 'string' && value.includes('${'))
      return value.replaceAll(REFERENCE, (whole, id: string, key: string) => {
        const found = before.has(id) ? provided(id, key, around, [...from, resource.id]) : outOfOrder(resource.id, id, around);
        if (found === null || typeof found === 'string') return found ?? whole;
        problems.push({ path, ...found });
        return whole;
      });
    if (Array.isArray(value)) return value.map((each, index) => walk(each, [...path, index]));
    if (!isRecord(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, walk(each, [...path, key])]));
  };
  const options = walk(optionsOn(resource, around.node), []) as Readonly<Record<string, unknown>>;
  return { options, problems };
};

type Trouble = Omit<ReferenceProblem, 'path'>;

/** The text, or why there is none; null when that is somebody else's problem (options that are wrong, an agent that is not there). */
const provided = (id: string, key: string, around: ReferenceSurroundings, from: readonly string[]): string | Trouble | null => {
  const other = around.resources.find((one) => one.id === id);
  const agent = other === undefined ? undefined : around.agent(other.use);
  if (other === undefined || agent === undefined || from.includes(id)) return null;
  const { options } = resolvedOptions(other, around, from);
  const parsed = strict(agent.options).safeParse(options);
  if (!parsed.success) return null;
  const { group, node } = around;
  const outputs = agent.outputs?.({ options: parsed.data as never, group, resource: id, node }) ?? {};
  if (Object.hasOwn(outputs, key)) return outputs[key] ?? null;
  const option = Object.hasOwn(options, key) && !isSecretName(key) ? options[key] : undefined;
  if (typeof option === 'string' || typeof option === 'number') return String(option);
  const known = [...Object.keys(outputs), ...Object.keys(options).filter((name) => isText(options[name]) && !isSecretName(name))];
  return {
    message: `"${id}" (${other.use}) provides no "${key}"`,
    hint: didYouMean(key, known) ?? (known.length === 0 ? `it provides nothing to refer to` : `it provides: ${known.join(', ')}`),
  };
};

const isText = (value: unknown): boolean => typeof value === 'string' || typeof value === 'number';

const outOfOrder = (self: string, id: string, { resources }: ReferenceSurroundings): Trouble => {
  const names = resources.map((one) => one.id).filter((one) => one !== self);
  if (id === self) return { message: `"${self}" refers to itself` };
  if (!names.includes(id)) return { message: `there is no resource "${id}" to refer to`, hint: didYouMean(id, names) };
  return {
    message: `"${self}" refers to "${id}", which does not start before it`,
    hint: `put "${id}" before it, or write after: [${id}]`,
  };
};

const allBefore = (id: string, resources: readonly Referable[]): ReadonlySet<string> => {
  const direct = predecessors(resources);
  const found = new Set<string>();
  const walk = (at: string): void => {
    for (const next of direct.get(at) ?? []) {
      if (next === id || found.has(next)) continue;
      found.add(next);
      walk(next);
    }
  };
  walk(id);
  return found;
};
