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

test('docs/reference/config.md: its tables are the schemas\'', (t) => {
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
  t.is(optionsTable(catalogue.agents['program']!.options), '| key | takes | default | meaning |\n| --- | --- | --- | --- |\n| `start` | list of text | required | What to start |\n| `grace` | duration | `10s` | How long |');
});

test('quantities as the file writes them read back as they were', (t) => {
  for (const ms of [1, 250, 1500, 60_000, 90_000, 3_600_000, 86_400_000]) t.is(parseDurationMs(durationText(ms)), ms);
  for (const bytes of [0, 1, 1024, 4 * 1024 ** 2, 1000]) t.is(parseSizeBytes(sizeText(bytes)), bytes);
});

/** As much of JSON Schema as an editor needs for these files: enough to know that the schema accepts and refuses what it should. */
const accepts = (root: any, schema: any, value: unknown): boolean => {
  if (schema === true) return true;
  if (schema.$ref !== undefined) return accepts(root, schema.$ref.replace('#/', '').split('/').reduce((at: any, part: string) => at[part], root), value);
  if (schema.anyOf !== undefined && !schema.anyOf.some((one: any) => accepts(root, one, value))) return false;
  if (schema.oneOf !== undefined && !schema.oneOf.some((one: any) => accepts(root, one, value))) return false;
  if (schema.allOf !== undefined && !schema.allOf.every((one: any) => accepts(root, one, value))) return false;
  if (schema.const !== undefined && schema.const !== value) return false;
  if (schema.enum !== undefined && !schema.enum.includes(value)) return false;
  if (schema.type === 'string' && (typeof value !== 'string' || (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)))) return false;
  if ((schema.type === 'integer' || schema.type === 'number') && (typeof value !== 'number' || value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity))) return false;
  if (schema.type === 'boolean' && typeof value !== 'boolean') return false;
  if (schema.type === 'array') return Array.isArray(value) && value.length >= (schema.minItems ?? 0) && value.every((item) => accepts(root, schema.items ?? true, item));
  if (schema.type !== 'object') return true;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return (schema.required ?? []).every((key: string) => key in value) && Object.entries(value).every(([key, member]) => {
    if (schema.propertyNames !== undefined && !accepts(root, schema.propertyNames, key)) return false;
    const property = schema.properties?.[key];
    if (property !== undefined) return accepts(root, property, member);
    return schema.additionalProperties === undefined || (schema.additionalProperties !== false && accepts(root, schema.additionalProperties, member));
  });
};

test('JSON Schema: accepts the good file, refuses what editors should underline', (t) => {
  const schema = configJsonSchema(catalogue);
  const read = (name: string) => parse(readFileSync(`test/config/${name}`, 'utf8'), { merge: true }) as unknown;
  t.true(accepts(schema, schema, read('good.yaml')));
  for (const name of ['05-misspelt-key', '06-misspelt-words', '07-no-units', '11-bad-names', '16-shell-lines-and-hooks', '18-slow-arbiter-and-ports', '19-wrong-kinds']) {
    t.false(accepts(schema, schema, read(`broken/${name}.yaml`)), name);
  }
  const text = JSON.stringify(schema);
  t.true(text.includes('"The address"') && text.includes('"default":"10s"') && !text.includes('"unit"') && !text.includes('readOnly'));
});

test('JSON Schema without plugins: resources are open, understudy\'s own keys are not', (t) => {
  const schema = configJsonSchema();
  const base = parse(readFileSync('test/config/good.yaml', 'utf8'), { merge: true }) as Record<string, unknown>;
  delete base['cloud'];
  t.true(accepts(schema, schema, base));
  t.false(accepts(schema, schema, { ...base, timing: 'slow' }));
});
