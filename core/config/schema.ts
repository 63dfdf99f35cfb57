// JSON Schema of the whole file for editors, made from the tables that check it, with the options of the agents that are
// known. Pure. What it cannot say (names that must exist, circles, timing) `understudy check` says.
import type { Catalogue } from './catalogue.js';
import { z } from './fields.js';
import { HOOK_POINTS } from '../model/desired.js';
import { NO_STORE } from '../model/no-store.js';
import {
  addressesSchema,
  arbiterSchema,
  clusterSchema,
  failsafeSchema,
  fencingSchema,
  groupSchema,
  hookSchema,
  ID_PATTERN,
  keySchema,
  nodeSchema,
  pluginsSchema,
  portsSchema,
  resourceSchema,
  timingSchema,
  watchdogSchema,
} from './sections.js';
import { TIMING_PROFILES } from './timing.js';
import { durationText, sizeText } from './quantity-text.js';
import { definitionOf } from './walk-schema.js';

const NO_CATALOGUE: Catalogue = { agents: {}, arbiters: {}, settings: {} };

/** For `# yaml-language-server: $schema=FILE` at the head of a config. */
export const configJsonSchema = (catalogue: Catalogue = NO_CATALOGUE): Readonly<Record<string, unknown>> => {
  const schema = z.toJSONSchema(fileSchema(catalogue), {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) =>
      forEditors(jsonSchema as Record<string, unknown>, definitionOf(zodSchema as unknown as z.ZodType).defaultValue),
  });
  return { ...schema, title: 'understudy config' };
};

const fileSchema = ({ agents, arbiters, settings }: Catalogue): z.ZodType => {
  const name = z.string().regex(ID_PATTERN);
  const group = groupSchema.extend({
    resources: z.record(name, resourceOf(agents)).describe(groupSchema.shape.resources.description ?? ''),
    hooks: z.partialRecord(z.enum(HOOK_POINTS), z.array(hookSchema)).optional().describe('Scripts by hook point.'),
  });
  const loaded = Object.entries(arbiters).flatMap(([use, arbiter]) =>
    arbiter === null ? [] : [withOptions(z.strictObject({ use: z.literal(use) }), arbiter.options)],
  );
  const named = Object.entries(arbiters).flatMap(([use, arbiter]) => (arbiter === null ? [z.looseObject({ use: z.literal(use) })] : []));
  const known = [...loaded, ...named];
  return z.strictObject({
    cluster: clusterSchema,
    key: keySchema,
    nodes: z.record(name, nodeSchema).describe('The nodes by name.'),
    arbiter: oneOf(known.length === 0 ? [] : [...known, z.strictObject({ use: z.literal(NO_STORE) })], arbiterSchema).describe(
      'The store that decides who holds a group.',
    ),
    fencing: z
      .union([fencingSchema.shape.policy.unwrap(), fencingSchema])
      .optional()
      .describe('How the old holder is known to be off: a policy, or a table of keys.'),
    timing: z
      .union([z.enum([...TIMING_PROFILES, 'strict']), timingSchema])
      .optional()
      .describe('A profile, or a table of keys.'),
    failsafe: failsafeSchema.optional().describe('What the holder does while the arbiter is silent.'),
    ports: portsSchema.optional().describe('Ports of this cluster.'),
    watchdog: watchdogSchema.optional(),
    addresses: addressesSchema.optional(),
    plugins: pluginsSchema.optional(),
    groups: z.record(name, group).describe('The groups by name: each is active on one node at a time.'),
    ...Object.fromEntries(Object.entries(settings).map(([key, schema]) => [key, (schema ?? z.unknown()).optional()])),
  });
};

const resourceOf = (agents: Catalogue['agents']): z.ZodType =>
  oneOf(
    Object.entries(agents).map(([type, { summary, options }]) =>
      withOptions(resourceSchema.extend({ use: z.literal(type).describe(summary) }), options),
    ),
    z.looseObject(resourceSchema.shape),
  );

const oneOf = (schemas: readonly z.ZodType[], otherwise: z.ZodType): z.ZodType => {
  const [first, second, ...rest] = schemas;
  if (first === undefined) return otherwise;
  return second === undefined ? first : z.union([first, second, ...rest]);
};

/** Options that are no plain table of keys (a union, say) cannot be joined; then any key is let through. */
const withOptions = (own: z.ZodObject, options: z.ZodType): z.ZodType =>
  options instanceof z.ZodObject ? own.extend(options.shape) : z.looseObject(own.shape);

/** Durations and sizes are texts with a unit in the file, whatever they become in the code; and nothing in a file is read-only. */
const forEditors = (json: Record<string, unknown>, fallback: unknown): void => {
  delete json['readOnly'];
  const { unit } = json;
  if (unit !== 'duration' && unit !== 'size') return;
  delete json['unit'];
  delete json['anyOf'];
  json['type'] = 'string';
  json['pattern'] = unit === 'duration' ? '^\\d+(\\.\\d+)?\\s*(ms|s|m|min|h|d)$' : '^\\d+(\\.\\d+)?\\s*(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)$';
  if (typeof fallback === 'number') json['default'] = (unit === 'duration' ? durationText : sizeText)(fallback);
};
