// Text to plain values, with the place of every value kept. YAML and JSON by one parser, so that both have positions.
// Pure. Invariant: never throws, whatever the text is; what it cannot read comes back as problems.
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { reasonOf } from '../errors/errors.js';
import { type ConfigPath, pathText, type Problem } from './problem.js';

/** No cluster needs more, and the parser's time grows with it. */
const MAX_TEXT_LENGTH = 1024 * 1024;
/** More uses of one anchor than any config needs is an alias bomb. */
const MAX_ALIASES = 100;
const MAX_SYNTAX_PROBLEMS = 50;

export interface ConfigDocument {
  readonly value: unknown;
  /** A problem at a path: on its value, or on its key, or (when it is missing) on the block it is missing from. */
  problem(
    path: ConfigPath,
    message: string,
    options?: { hint?: string | undefined; at?: 'key' | 'value'; code?: Problem['code'] },
  ): Problem;
}

export type ReadDocument = { readonly document: ConfigDocument | null; readonly problems: readonly Problem[] };

/** Reads the text. `document` is null when its syntax is broken; duplicate keys alone leave it usable for further checks. */
export const readDocument = (text: string, file: string): ReadDocument => {
  const at = (line: number, column: number, message: string, hint?: string): Problem => ({
    file,
    line,
    column,
    path: '',
    message,
    ...(hint === undefined ? {} : { hint }),
  });
  if (text.length > MAX_TEXT_LENGTH)
    return { document: null, problems: [at(1, 1, `the file is larger than ${MAX_TEXT_LENGTH} characters`)] };
  const lines = new LineCounter();
  try {
    const yaml = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false, uniqueKeys: true, stringKeys: true });
    const problems = [...yaml.errors, ...yaml.warnings].slice(0, MAX_SYNTAX_PROBLEMS).map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      if (error.code !== 'DUPLICATE_KEY') return at(line || 1, col || 1, `cannot be read: ${error.message}`);
      const key = /^[^\s:,{}]+/.exec(text.slice(error.pos[0]))?.[0] ?? 'the key';
      return at(line, col, `"${key}" stands here twice`, 'keep one of the two');
    });
    if (yaml.errors.some((error) => error.code !== 'DUPLICATE_KEY'))
      return {
        document: null,
        problems: problems.filter(
          (one, index) => problems.findIndex((other) => other.line === one.line && other.message === one.message) === index,
        ),
      };
    if (yaml.contents === null || (isScalar(yaml.contents) && yaml.contents.value === null))
      return { document: null, problems: [...problems, at(1, 1, 'the file is empty')] };
    if (!isMap(yaml.contents) && !isAlias(yaml.contents))
      return {
        document: null,
        problems: [...problems, at(1, 1, 'the file must be a table of keys: cluster, key, nodes, arbiter, groups, …')],
      };
    return { document: documentOf(yaml, lines, file), problems };
  } catch (thrown) {
    // A bomb of aliases, or nesting so deep that the parser's stack ends.
    return { document: null, problems: [at(1, 1, `cannot be read: ${reasonOf(thrown)}`)] };
  }
};

const documentOf = (yaml: Document, lines: LineCounter, file: string): ConfigDocument => ({
  value: yaml.toJS({ maxAliasCount: MAX_ALIASES }) as unknown,
  problem: (path, message, { hint, at = 'value', code } = {}) => {
    const { line, col } = lines.linePos(offsetOf(yaml, path, at));
    return {
      file,
      line: line || 1,
      column: col || 1,
      path: pathText(path),
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(code === undefined ? {} : { code }),
    };
  },
});

/** Where a path stands. What does not exist is answered with the key of the innermost block that does. */
const offsetOf = (yaml: Document, path: ConfigPath, at: 'key' | 'value'): number => {
  let node: Node | null = resolved(yaml, yaml.contents);
  let keyOffset = 0;
  for (const [index, part] of path.entries()) {
    const last = index === path.length - 1;
    const step = isMap(node)
      ? inMap(yaml, node, String(part), 0)
      : isSeq(node) && typeof part === 'number'
        ? inSequence(node.items[part])
        : undefined;
    if (step === undefined) return keyOffset;
    keyOffset = step.keyOffset ?? keyOffset;
    if (last && at === 'value') return step.value?.range?.[0] ?? keyOffset;
    node = resolved(yaml, step.value);
  }
  return keyOffset;
};

interface Step {
  readonly keyOffset: number | undefined;
  readonly value: Node | null;
}

const inSequence = (item: unknown): Step | undefined => (isNode(item) ? { keyOffset: item.range?.[0], value: item } : undefined);

/** A key of the map itself, else of what is merged into it by `<<`. */
const inMap = (yaml: Document, map: YAMLMap, key: string, depth: number): Step | undefined => {
  const own = map.items.find((pair) => (isScalar(pair.key) ? String(pair.key.value) : String(pair.key)) === key);
  if (own !== undefined)
    return { keyOffset: isNode(own.key) ? own.key.range?.[0] : undefined, value: isNode(own.value) ? own.value : null };
  if (depth > 8) return undefined;
  for (const pair of map.items) {
    if (!isScalar(pair.key) || pair.key.source !== '<<') continue;
    const merged = resolved(yaml, isNode(pair.value) ? pair.value : null);
    for (const source of isSeq(merged) ? merged.items : [merged]) {
      const block = isNode(source) ? resolved(yaml, source) : null;
      const found = isMap(block) ? inMap(yaml, block, key, depth + 1) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
};

const resolved = (yaml: Document, node: Node | null): Node | null => (isAlias(node) ? (node.resolve(yaml) ?? null) : node);
