// Looks into a zod schema by path: which keys are known at a place, and what a place is for. Pure; for messages and the
// reference, never for validation.
import { z } from './fields.js';
import type { ConfigPath } from './problem.js';

interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly getter?: () => z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly catchall?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly items?: readonly z.ZodType[];
  readonly options?: readonly z.ZodType[];
  readonly left?: z.ZodType;
  readonly right?: z.ZodType;
  readonly defaultValue?: unknown;
}
export const definitionOf = (schema: z.ZodType): Definition => schema.def as unknown as Definition;

/** The schema without what only wraps it (optional, default, readonly …); unions and intersections fall apart into their members. */
export const unwrap = (schema: z.ZodType, depth = 0): readonly z.ZodType[] => {
  if (depth > 16) return [schema];
  const definition = definitionOf(schema);
  const inner = [
    definition.innerType,
    definition.type === 'pipe' ? definition.in : undefined,
    definition.type === 'lazy' ? definition.getter?.() : undefined,
    definition.left,
    definition.right,
  ].filter((one) => one !== undefined);
  if (definition.type === 'union') inner.push(...(definition.options ?? []));
  return inner.length === 0 ? [schema] : inner.flatMap((one) => unwrap(one, depth + 1));
};

/** Every schema that a value at the path may be checked by, as written (with its wrappers). */
export const schemasAt = (schema: z.ZodType, path: ConfigPath): readonly z.ZodType[] => {
  const [part, ...rest] = path;
  if (part === undefined) return [schema];
  return unwrap(schema).flatMap((one) => {
    const definition = definitionOf(one);
    const shape = definition.shape !== undefined && Object.hasOwn(definition.shape, part) ? definition.shape[part] : undefined;
    const next = shape ?? definition.catchall ?? definition.valueType ?? definition.element ?? definition.items?.[Number(part)];
    return next === undefined ? [] : schemasAt(next, rest);
  });
};

/** The keys an object at the path may have. */
export const keysAt = (schema: z.ZodType, path: ConfigPath): readonly string[] =>
  schemasAt(schema, path)
    .flatMap((one) => unwrap(one))
    .flatMap((one) => Object.keys(definitionOf(one).shape ?? {}));

/** What a value is for, by the `describe` nearest to the outside. */
export const describedAs = (schema: z.ZodType, depth = 0): string | undefined => {
  if (schema.description !== undefined || depth > 16) return schema.description;
  const definition = definitionOf(schema);
  const inner = definition.innerType ?? (definition.type === 'pipe' ? definition.in : undefined);
  return inner === undefined ? undefined : describedAs(inner, depth + 1);
};

/** An object schema that strips unknown keys by its author's oversight refuses them instead; one made loose on purpose stays so. */
export const strict = (schema: z.ZodType): z.ZodType =>
  schema instanceof z.ZodObject && schema.def.catchall === undefined ? schema.strict() : schema;
