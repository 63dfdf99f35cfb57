// The tables of docs/reference/config.md, made from the schemas that check the file, so that they cannot drift. Pure.
import { z } from './fields.js';
import { durationText, sizeText } from './quantity-text.js';
import {
  addressesSchema,
  arbiterSchema,
  clusterSchema,
  failsafeSchema,
  fencingSchema,
  groupSchema,
  hookSchema,
  keySchema,
  nodeSchema,
  pluginsSchema,
  portsSchema,
  resourceSchema,
  timingSchema,
  watchdogSchema,
} from './sections.js';
import { proveTiming, resolveTiming, TIMING_PROFILES, timingProfile } from './timing.js';
import { definitionOf, describedAs, unwrap } from './walk-schema.js';

/** Fills every `<!-- table: NAME -->` … `<!-- end -->` of a page; a name that does not exist throws. */
export const fillTables = (markdown: string): string =>
  markdown.replaceAll(/(<!-- table: ([\w-]+) -->\n)[^]*?(<!-- end -->)/g, (_all, begin: string, name: string, end: string) => {
    const table = TABLES[name];
    if (table === undefined) throw new RangeError(`there is no table "${name}": there are ${Object.keys(TABLES).join(', ')}`);
    return `${begin}${table()}\n${end}`;
  });

/** The keys of a table of options: what they take, their default, what they mean. Also for the options of an agent. */
export const optionsTable = (schema: z.ZodType): string => {
  const rows = unwrap(schema)
    .flatMap((one) => Object.entries(definitionOf(one).shape ?? {}))
    .flatMap(([key, value]) => rowsOf(key, value));
  return lines(['key', 'takes', 'default', 'meaning'], rows);
};

const lines = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');

/** A key, and the keys of the table it takes, if it takes one. */
const rowsOf = (key: string, schema: z.ZodType): readonly (readonly string[])[] => {
  const inner = unwrap(schema)
    .flatMap((one) => Object.entries(definitionOf(one).shape ?? {}))
    .flatMap(([name, value]) => rowsOf(`${key}.${name}`, value));
  return [[`\`${key}\``, takes(schema), fallback(schema), describedAs(schema) ?? ''], ...inner];
};

const unitOf = (schema: z.ZodType): 'duration' | 'size' | undefined => {
  const unit = z.globalRegistry.get(schema)?.['unit'];
  return unit === 'duration' || unit === 'size' ? unit : innerOf(schema) === undefined ? undefined : unitOf(innerOf(schema)!);
};
const innerOf = (schema: z.ZodType): z.ZodType | undefined => definitionOf(schema).innerType;

const takes = (schema: z.ZodType): string => {
  const unit = unitOf(schema);
  if (unit !== undefined) return unit;
  const kinds = unwrap(schema).map((one) => {
    const definition = definitionOf(one);
    if (definition.type === 'enum')
      return Object.values((one as z.ZodEnum).enum)
        .map((word) => `\`${word}\``)
        .join(' ');
    if (definition.type === 'array') return `list of ${definition.element === undefined ? 'values' : takes(definition.element)}`;
    return KINDS[definition.type] ?? definition.type;
  });
  return [...new Set(kinds)].join(' or ');
};
const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'number',
  boolean: '`true` `false`',
  object: 'table',
  record: 'table',
  unknown: 'anything',
};

const fallback = (schema: z.ZodType): string => {
  const definition = definitionOf(schema);
  if (definition.type === 'default') {
    const value = definition.defaultValue;
    const unit = unitOf(schema);
    if (typeof value === 'number' && unit !== undefined) return `\`${(unit === 'duration' ? durationText : sizeText)(value)}\``;
    return typeof value === 'object' && value !== null ? '' : `\`${String(value)}\``;
  }
  if (definition.type === 'optional' || definition.type === 'prefault') return '';
  return definition.type === 'readonly' && definition.innerType !== undefined ? fallback(definition.innerType) : 'required';
};

const timingTable = (): string => {
  const all = TIMING_PROFILES.map((name) => ({
    name,
    timing: timingProfile(name),
    strict: resolveTiming({ profile: name, strict: true, values: {} }),
  }));
  const row = (key: string, pick: (one: (typeof all)[number]) => number) => [key, ...all.map((one) => durationText(pick(one)))];
  return lines(
    ['', ...all.map(({ name }) => `\`${name}\``)],
    [
      row('heartbeat h', ({ timing }) => timing.heartbeatMs),
      row('suspectAfter', ({ timing }) => timing.suspectAfterMs),
      row('renew R', ({ timing }) => timing.renewMs),
      row('attempt a', ({ timing }) => timing.attemptMs),
      row('soft', ({ timing }) => timing.softMs),
      row('selfFence D', ({ timing }) => timing.selfFenceMs),
      row('stopBudget S', ({ timing }) => timing.stopBudgetMs),
      row('watchdog WD', ({ timing }) => timing.watchdogMs),
      row('petMaxAge P_max', ({ timing }) => timing.petMaxAgeMs),
      row('poll Q', ({ timing }) => timing.pollMs),
      row('margin ε', ({ timing }) => timing.marginMs),
      row('takeoverWait W', ({ timing }) => timing.takeoverWaitMs),
      row('takeoverWait W, strict', ({ strict }) => strict.takeoverWaitMs),
      row('worst takeover, lease', ({ timing }) => proveTiming(timing).takeoverWorstMs),
      row('worst takeover, preempt, `confirm: renewal`', ({ timing }) => proveTiming(timing).preemptWorstMs.renewal),
      row('worst takeover, preempt, `confirm: none`', ({ timing }) => proveTiming(timing).preemptWorstMs.none),
      row('worst planned move', ({ timing }) => proveTiming(timing).plannedWorstMs),
    ],
  );
};

const proofTable = (): string =>
  lines(
    ['', 'must hold', 'means'],
    proveTiming(timingProfile('standard')).inequalities.map(({ id, text, means }) => [id, `\`${text}\``, means]),
  );

const TABLES: Readonly<Record<string, () => string>> = {
  root: () =>
    optionsTable(
      z.strictObject({
        cluster: clusterSchema,
        key: keySchema,
        nodes: z.record(z.string(), z.unknown()).describe('The nodes by name; see below.'),
        arbiter: z.record(z.string(), z.unknown()).describe('The store that decides who holds a group; see below.'),
        fencing: z.record(z.string(), z.unknown()).optional().describe('How the old holder is known to be off; see below.'),
        timing: z.record(z.string(), z.unknown()).optional().describe('A profile, or a table; see below. Default: `standard`.'),
        failsafe: z.record(z.string(), z.unknown()).optional().describe('What the holder does while the arbiter is silent; see below.'),
        ports: z.record(z.string(), z.unknown()).optional().describe('See below.'),
        watchdog: watchdogSchema.default('none'),
        addresses: addressesSchema.default('system'),
        plugins: pluginsSchema.optional(),
        groups: z.record(z.string(), z.unknown()).describe('The groups by name; see below.'),
      }),
    ),
  node: () => optionsTable(nodeSchema),
  arbiter: () => optionsTable(arbiterSchema),
  fencing: () => optionsTable(fencingSchema),
  timing: () => optionsTable(timingSchema),
  failsafe: () => optionsTable(failsafeSchema),
  profiles: timingTable,
  proof: proofTable,
  ports: () => optionsTable(portsSchema),
  group: () => optionsTable(groupSchema),
  resource: () => optionsTable(resourceSchema),
  hook: () => optionsTable(hookSchema),
};
