// Every page a newcomer reads, and what stands in its code blocks. Pure apart from reading the files; knows no page by name.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Page {
  /** Path from the repository's root. */
  readonly file: string;
  readonly text: string;
}

export interface Block {
  readonly file: string;
  /** Line of its first line, from 1. */
  readonly line: number;
  /** The word after the fence; `indented` for a block that is made by four spaces. */
  readonly language: string;
  readonly text: string;
}

/** All Markdown of the repository that is not a dependency's. */
export const pages = (): readonly Page[] => {
  const roots = ['docs', 'plugins', 'templates', 'test'].flatMap((root) =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  return ['README.md', 'CHANGELOG.md', ...roots.sort()].map((file) => ({ file, text: readFileSync(file, 'utf8') }));
};

/** Fenced blocks, and those of four spaces; the latter only outside fences and after an empty line. */
export const blocksOf = ({ file, text }: Page): readonly Block[] => {
  const blocks: Block[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const fence = /^(\s*)```(\S*)/.exec(lines[at]!);
    const begin = fence === null ? at : at + 1;
    const indented = fence === null && /^ {4}\S/.test(lines[at]!) && (lines[at - 1] ?? '').trim() === '';
    if (fence === null && !indented) continue;
    const inside = fence === null ? (line: string) => /^( {4}|\s*$)/.test(line) : (line: string) => !line.trimStart().startsWith('```');
    let end = begin;
    while (end < lines.length && inside(lines[end]!)) end += 1;
    const cut = fence === null ? 4 : fence[1]!.length;
    const body = lines
      .slice(begin, end)
      .map((line) => line.slice(cut))
      .join('\n');
    blocks.push({ file, line: begin + 1, language: fence === null ? 'indented' : fence[2]!, text: body });
    at = end;
  }
  return blocks;
};

/** Targets of the relative links of a page, as written, without the part behind `#`. */
export const linksOf = ({ text }: Page): readonly string[] =>
  [...text.replaceAll(/```[^]*?```/g, '').matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target.replace(/#.*$/, ''))
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target));
