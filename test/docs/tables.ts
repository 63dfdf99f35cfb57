// The tables of the reference pages, made from the code's own tables, between `<!-- made: NAME -->` and `<!-- end -->`.
import { readdirSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { COMMANDS } from '../../core/cli/command-table.js';
import { definePluginCommand, pluginCommands } from '../../core/cli/plugin-commands.js';
import { ERRORS } from '../../core/errors/errors.js';

export const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');

/** Fills every marked place of a page; a name that has no maker throws. */
export const fill = (markdown: string, makers: Readonly<Record<string, string>>): string =>
  markdown.replaceAll(/(<!-- made: ([\w-]+) -->\n)[^]*?(<!-- end -->)/g, (_all, begin: string, name: string, end: string) => {
    const made = makers[name];
    if (made === undefined) throw new RangeError(`nothing makes "${name}": there are ${Object.keys(makers).join(', ')}`);
    return `${begin}${made}\n${end}`;
  });

/** Every command with its options, as `main` would define it. */
export const allCommands = async (): Promise<readonly { readonly group: string; readonly command: Command }[]> => {
  const own = COMMANDS.map(async ({ name, summary, group, load }) => {
    const command = new Command(name).description(summary);
    (await load()).define(command);
    return { group: group as string, command };
  });
  const plugins = (await pluginCommands()).map(async ({ name, load }) => {
    const command = new Command(name);
    definePluginCommand(command, await load());
    return { group: 'Run', command };
  });
  return Promise.all([...own, ...plugins]);
};

/** What stands behind the options in `--help`: the example. */
const examplesOf = (command: Command): string => {
  let out = '';
  command.configureOutput({ writeOut: (text) => (out += text) });
  command.outputHelp();
  return /\nExample: ([^]*)$/.exec(out)?.[1]?.trimEnd() ?? '';
};

const usageOf = (path: string, command: Command): string => {
  const words = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '…' : ''}`;
    return argument.required ? name.toUpperCase() : `[${name.toUpperCase()}]`;
  });
  return [path, ...words].join(' ');
};

const optionRow = (option: Option): readonly string[] => {
  const fallback =
    option.defaultValue === undefined || typeof option.defaultValue === 'boolean' ? '' : `\`${String(option.defaultValue)}\``;
  return [`\`${option.flags}\``, fallback, option.description];
};

const sectionOf = (path: string, command: Command, depth: string): string => {
  const args = command.registeredArguments
    .filter(({ description, argChoices }) => description !== '' || argChoices !== undefined)
    .map((argument) => [
      `\`${argument.name().toUpperCase()}\``,
      '',
      [argument.description, argument.argChoices?.map((one) => `\`${one}\``).join(' ')].filter(Boolean).join(': '),
    ]);
  const rows = [...args, ...command.options.map(optionRow)];
  const example = examplesOf(command);
  return [
    `${depth} ${path}`,
    '',
    `${command.description().replace(/^./, (first) => first.toUpperCase())}.`,
    '',
    ...(command.commands.length > 0 ? [] : ['```', usageOf(path, command), '```', '']),
    ...(rows.length > 0 ? [markdownTable(['argument or option', 'default', 'meaning'], rows), ''] : []),
    ...(example === ''
      ? []
      : ['For example:', '', '```', ...example.split('\n').map((line) => line.replace(/^See first [^:]*: /, '').trim()), '```', '']),
    ...command.commands.flatMap((sub) => sectionOf(`${path} ${sub.name()}`, sub, `${depth}#`).split('\n')),
  ].join('\n');
};

/** docs/reference/cli.md: a part for each group of the overview. */
export const commandReference = async (): Promise<string> => {
  const commands = await allCommands();
  const groups = [...new Set(commands.map(({ group }) => group))];
  return groups
    .map((group) =>
      [
        `## ${group}`,
        '',
        ...commands.filter((one) => one.group === group).map(({ command }) => sectionOf(`understudy ${command.name()}`, command, '###')),
      ].join('\n'),
    )
    .join('\n')
    .trimEnd();
};

const EXITS: Readonly<Record<number, string>> = { 1: 'failed', 2: 'usage or configuration', 3: 'no daemon', 4: 'refused for safety' };

export const errorTable = (): string =>
  markdownTable(
    ['code', 'exit status', 'what to do next'],
    Object.entries(ERRORS).map(([code, { exit, hint }]) => [`\`${code}\``, `${exit}, ${EXITS[exit]}`, hint]),
  );

/** docs/reference/config-messages.md: each broken file of the tests with exactly what it gets. */
export const configMessages = (folder = 'test/config/broken'): string =>
  readdirSync(folder)
    .filter((name) => !name.endsWith('.txt'))
    .sort()
    .map((name) => {
      const words = name.replace(/^\d+-|\.\w+$/g, '').replaceAll('-', ' ');
      const read = (file: string) => readFileSync(`${folder}/${file}`, 'utf8').trimEnd();
      return [
        `## ${words[0]!.toUpperCase()}${words.slice(1)}`,
        '',
        `\`${name}\``,
        '',
        '```text',
        read(name),
        '```',
        '',
        'gets',
        '',
        '```text',
        read(name.replace(/\.\w+$/, '.txt')),
        '```',
      ].join('\n');
    })
    .join('\n\n');
