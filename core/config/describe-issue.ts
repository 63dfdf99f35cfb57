// One issue of zod in the words of this house: what was found, what is known, what was perhaps meant. Pure.
import { z } from './fields.js';
import { didYouMean, nearest } from './nearest.js';
import { type ConfigPath, isRecord, pathText } from './problem.js';
import { describedAs, keysAt, schemasAt } from './walk-schema.js';

/** A problem before it has its place in the file: `path` is relative to the value that was checked. */
export interface Complaint {
  readonly path: ConfigPath;
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly hint?: string | undefined;
}

type Issue = z.core.$ZodIssue;

/** All complaints about a value that its schema refused. `also`: keys that are known beside it, by another schema. */
export const complaintsOf = (error: z.ZodError, schema: z.ZodType, value: unknown, also: readonly string[] = []): readonly Complaint[] => {
  const misspelt = new Set(
    error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => pathText([...words(issue.path), nearest(key, keysAt(schema, words(issue.path))) ?? '']))
        : [],
    ),
  );
  return error.issues.flatMap((issue) => {
    // One slip of the keyboard is one complaint: the misspelt key says it, the missing one would repeat it.
    const repeats =
      issue.code !== 'unrecognized_keys' && misspelt.has(pathText(words(issue.path))) && valueAt(value, words(issue.path)) === undefined;
    return repeats ? [] : describe(issue, schema, value, also);
  });
};

const words = (path: readonly PropertyKey[]): ConfigPath => path.map((part) => (typeof part === 'symbol' ? String(part) : part));

const describe = (issue: Issue, schema: z.ZodType, root: unknown, also: readonly string[] = []): readonly Complaint[] => {
  const path = words(issue.path);
  const value = valueAt(root, path);
  const say = (message: string, hint?: string): readonly Complaint[] => [{ path, at: 'value', message, hint }];
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path);
    return issue.keys.map((key) => ({
      path: [...path, key],
      at: 'key' as const,
      message: `"${key}" is not known here`,
      hint:
        didYouMean(key, path.length === 0 ? [...known, ...also] : known) ?? (known.length === 0 ? undefined : `known: ${known.join(', ')}`),
    }));
  }
  const own = /^(Invalid|Too |Unrecognized)/.test(issue.message) ? undefined : issue.message;
  if (value === undefined && own === undefined && path.length > 0) {
    const meaning = schemasAt(schema, path)
      .map((one) => describedAs(one))
      .find((one) => one !== undefined);
    return [{ path: path.slice(0, -1), at: 'key', message: `"${path.at(-1)}" is missing`, hint: meaning }];
  }
  if (own !== undefined) return say(own);
  switch (issue.code) {
    case 'invalid_type':
      return say(`expected ${KINDS[issue.expected] ?? issue.expected}, found ${kindOf(value)}`, hintFor(issue.expected, value));
    case 'invalid_value': {
      const known = issue.values.map(String);
      return say(`${shown(value)} is not one of: ${known.join(', ')}`, typeof value === 'string' ? didYouMean(value, known) : undefined);
    }
    case 'too_small':
      return say(
        issue.origin === 'number' || issue.origin === 'int'
          ? `${shown(value)} is less than ${issue.minimum}`
          : value === '' || (Array.isArray(value) && value.length === 0)
            ? 'must not be empty'
            : `must have at least ${issue.minimum} ${issue.origin === 'string' ? 'characters' : 'entries'}`,
      );
    case 'too_big':
      return say(
        issue.origin === 'number' || issue.origin === 'int'
          ? `${shown(value)} is more than ${issue.maximum}`
          : `must have at most ${issue.maximum} ${issue.origin === 'string' ? 'characters' : 'entries'}`,
      );
    case 'invalid_format':
      return say(`${shown(value)} is not ${FORMATS[issue.format] ?? `of the form ${issue.pattern ?? issue.format}`}`);
    case 'invalid_union':
      return unionComplaints(issue, path, value, schema, root);
    case 'custom':
    case 'invalid_element':
    case 'invalid_key':
    case 'not_multiple_of':
      return say(issue.message);
  }
};

/** Of several alternatives the one that came farthest is most likely meant; alternatives of one value are named together. */
const unionComplaints = (
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: ConfigPath,
  value: unknown,
  schema: z.ZodType,
  root: unknown,
): readonly Complaint[] => {
  const branches = issue.errors as readonly (readonly Issue[])[];
  const expected = branches.flatMap((branch) =>
    branch
      .filter((one) => one.path.length === 0 && one.code === 'invalid_type')
      .map((one) => (one.code === 'invalid_type' ? (KINDS[one.expected] ?? one.expected) : '')),
  );
  const reached = branches.filter((branch) => !branch.some((one) => one.path.length === 0 && one.code === 'invalid_type'));
  const best = [...reached].sort((a, b) => a.length - b.length)[0];
  if (best !== undefined) return best.flatMap((one) => describe({ ...one, path: [...path, ...one.path] } as Issue, schema, root));
  const kinds = [...new Set(expected)];
  return [
    {
      path,
      at: 'value',
      message: kinds.length === 0 ? `${shown(value)} is not possible here` : `expected ${kinds.join(' or ')}, found ${kindOf(value)}`,
    },
  ];
};

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a table of keys',
  record: 'a table of keys',
  null: 'nothing',
};
const FORMATS: Readonly<Record<string, string>> = {
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  url: 'a URL',
  cidrv4: 'an IPv4 prefix',
  cidrv6: 'an IPv6 prefix',
};

const hintFor = (expected: string, value: unknown): string | undefined => {
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean')) return `put it in quotes: "${value}"`;
  if (expected === 'array' && typeof value === 'string') return `write a list: [${value.slice(0, 60)}]`;
  return undefined;
};

const kindOf = (value: unknown): string => {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (isRecord(value)) return 'a table of keys';
  return shown(value);
};

/** The value as a short text. */
export const shown = (value: unknown): string => {
  const json = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  return json.length > 60 ? `${json.slice(0, 57)}…` : json;
};

const valueAt = (root: unknown, path: ConfigPath): unknown =>
  path.reduce<unknown>((value, part) => {
    if (Array.isArray(value)) return value[Number(part)];
    return isRecord(value) && Object.hasOwn(value, part) ? value[part] : undefined;
  }, root);
