// The reference page and the JSON Schema say what the checks do. To refresh the page: UPDATE_DOCS=1 npx ava test/config/reference.test.ts
import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { parse } from 'yaml';
import { configJsonSchema } from '../../core/config/schema.js';
import { parseConfig } from '../../core/config/parse.js';
import { formatProblem } from '../../core/config/problem.js';
import { durationText, sizeText } from '../../core/config/quantity-text.js';
import { fillTables, optionsTable } from '../../core/config/reference.js';
import { ROOT_KEYS } from '../../core/config/sections.js';
import { parseDurationMs, parseSizeBytes } from '../../core/config/fields.js';
import { catalogue } from './catalogue.js';

const PAGE = 'docs/reference/config.md';

test("docs/reference/config.md: its tables are the schemas'", (t) => {
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, fillTables(readFileSync(PAGE, 'utf8')));
  const page = readFileSync(PAGE, 'utf8');
  t.is(fillTables(page), page);
  for (const key of ROOT_KEYS) t.true(page.includes(`| \`${key}\` |`), key);
});

test('docs/reference/config.md: its example is a good config', (t) => {
  const [, example = ''] = /```yaml\n([^]*?)```/.exec(readFileSync(PAGE, 'utf8')) ?? [];
  const parsed = parseConfig(example, '/etc/understudy/understudy.config.yaml');
  t.deepEqual('problems' in parsed ? parsed.problems.map((problem) => formatProblem(problem)) : parsed.warnings, []);
});

test('a page that asks for a table that does not exist is wrong', (t) => {
  t.throws(() => fillTables('<!-- table: nodes -->\n<!-- end -->'), { message: /there is no table "nodes": there are root, node/ });
});

test('options of an agent as a table', (t) => {
  t.is(
    optionsTable(catalogue.agents['program']!.options),
    '| key | takes | default | meaning |\n| --- | --- | --- | --- |\n| `start` | list of text | required | What to start |\n| `grace` | duration | `10s` | How long |',
  );
});

test('quantities as the file writes them read back as they were', (t) => {
  for (const ms of [1, 250, 1500, 60_000, 90_000, 3_600_000, 86_400_000]) t.is(parseDurationMs(durationText(ms)), ms);
  for (const bytes of [0, 1, 1024, 4 * 1024 ** 2, 1000]) t.is(parseSizeBytes(sizeText(bytes)), bytes);
});

interface Json {
  readonly [key: string]: unknown;
}
const all = (value: unknown, each: (one: Json) => boolean): boolean => value === undefined || (value as readonly Json[]).every(each);
const some = (value: unknown, each: (one: Json) => boolean): boolean => value === undefined || (value as readonly Json[]).some(each);

/** As much of JSON Schema as an editor needs for these files: enough to know that the schema accepts and refuses what it should. */
const accepts = (schema: Json, value: unknown): boolean => {
  const {
    type,
    minItems = 0,
    minimum = -Infinity,
    maximum = Infinity,
    required = [],
  } = schema as { type?: string; minItems?: number; minimum?: number; maximum?: number; required?: string[] };
  if (
    !some(schema['anyOf'], (one) => accepts(one, value)) ||
    !some(schema['oneOf'], (one) => accepts(one, value)) ||
    !all(schema['allOf'], (one) => accepts(one, value))
  )
    return false;
  if (schema['const'] !== undefined && schema['const'] !== value) return false;
  if (schema['enum'] !== undefined && !(schema['enum'] as unknown[]).includes(value)) return false;
  if (type === 'string') return typeof value === 'string' && new RegExp((schema['pattern'] as string | undefined) ?? '').test(value);
  if (type === 'integer' || type === 'number') return typeof value === 'number' && value >= minimum && value <= maximum;
  if (type === 'boolean') return typeof value === 'boolean';
  if (type === 'array')
    return Array.isArray(value) && value.length >= minItems && value.every((item) => accepts((schema['items'] ?? {}) as Json, item));
  if (type !== 'object') return true;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Json>>;
  const others = schema['additionalProperties'];
  return (
    required.every((key) => key in value) &&
    Object.entries(value).every(([key, member]) => {
      if (!accepts((schema['propertyNames'] ?? {}) as Json, key)) return false;
      const property = properties[key];
      return property === undefined ? others !== false && accepts((others ?? {}) as Json, member) : accepts(property, member);
    })
  );
};

test('JSON Schema: accepts the good file, refuses what editors should underline', (t) => {
  const schema = configJsonSchema(catalogue);
  const read = (name: string) => parse(readFileSync(`test/config/${name}`, 'utf8'), { merge: true }) as unknown;
  t.true(accepts(schema, read('good.yaml')));
  for (const name of [
    '05-misspelt-key',
    '06-misspelt-words',
    '07-no-units',
    '11-bad-names',
    '16-shell-lines-and-hooks',
    '18-slow-arbiter-and-ports',
    '19-wrong-kinds',
  ]) {
    t.false(accepts(schema, read(`broken/${name}.yaml`)), name);
  }
  const text = JSON.stringify(schema);
  t.true(text.includes('"The address"') && text.includes('"default":"10s"') && !text.includes('"unit"') && !text.includes('readOnly'));
});

test("JSON Schema without plugins: resources are open, understudy's own keys are not", (t) => {
  const schema = configJsonSchema();
  const base = parse(readFileSync('test/config/good.yaml', 'utf8'), { merge: true }) as Record<string, unknown>;
  delete base['cloud'];
  t.true(accepts(schema, base));
  t.false(accepts(schema, { ...base, timing: 'slow' }));
});
