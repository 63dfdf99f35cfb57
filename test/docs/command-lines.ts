// Lines that begin with `understudy` in code blocks, and commands that the program's own words tell people to type; compared
// with the commands there are. Knows no command by name but `lab exec`, behind which another command may stand.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Block } from './pages.js';

export interface CommandLine {
  readonly where: string;
  /** Behind `understudy`. */
  readonly words: readonly string[];
}

/** Command lines of a block: with or without a prompt, up to a comment, a pipe or a redirection. */
export const linesOf = ({ file, line, text, language }: Block): readonly CommandLine[] =>
  ['yaml', 'ts', 'json', 'text'].includes(language)
    ? []
    : text.split('\n').flatMap((one, index) => {
        const [, rest] = /^\s*(?:[$#] )?(?:sudo )?(?:npx )?understudy(?: (.*))?$/.exec(one) ?? [];
        if (rest === undefined) return [];
        return [{ where: `${file}:${line + index}`, words: wordsOf(rest.replace(/\s+(#|>|\||&).*$/, '')) }];
      });

const wordsOf = (rest: string): readonly string[] => [...rest.matchAll(/"[^"]*"|'[^']*'|\S+/g)].map(([word]) => word);

/** What is wrong with a command line; empty when it can be typed. */
export const unknownIn = (words: readonly string[], commands: readonly { readonly command: Command }[]): readonly string[] => {
  const [name = '', ...rest] = words;
  if (name === 'COMMAND' || name.startsWith('-')) return [];
  let command = commands.map((one) => one.command).find((one) => one.name() === name);
  if (command === undefined) return [`there is no command ${name}`];
  let path = name;
  let at = 0;
  while (command.commands.length > 0) {
    const next: string | undefined = rest[at];
    if (next === undefined) return [];
    const sub: Command | undefined = command.commands.find((one) => one.name() === next);
    if (sub === undefined) return next.startsWith('-') ? [] : [`there is no command ${path} ${next}`];
    [command, path, at] = [sub, `${path} ${next}`, at + 1];
  }
  const wrong: string[] = [];
  for (; at < rest.length; at += 1) {
    const word = rest[at]!;
    if (word === '--') {
      const behind = rest.slice(at + 1);
      return behind[0] === 'understudy' ? [...wrong, ...unknownIn(behind.slice(1), commands)] : wrong;
    }
    if (!word.startsWith('-') || word === '--help') continue;
    const flag = word.replace(/=.*$/, '');
    if (!command.options.some((option) => option.long === flag || option.short === flag || option.long === flag.replace(/^--/, '--no-')))
      wrong.push(`${path} has no option ${flag}`);
  }
  const choices = command.registeredArguments[0]?.argChoices;
  const first = rest.find((word) => !word.startsWith('-'));
  if (choices !== undefined && first !== undefined && !choices.includes(first) && !/^[A-Z|a-z]*\|/.test(first) && !/^[A-Z]+$/.test(first))
    wrong.push(`${path} does not take ${first}`);
  return wrong;
};

/** Commands in the hints and next steps of the sources: `understudy WORD` in a string behind `hint`, `next` or `Next`. */
export const told = (): readonly { readonly file: string; readonly command: string }[] =>
  readdirSync('core', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => !/^\s*(\/\/|\/?\*)/.test(line))
        .flatMap((line) =>
          [...line.matchAll(/(?:`|'|: |[Rr]un |with |See |, )understudy ([a-z]+)(?=[ `'.,;])/g)].map(([, command = '']) => ({
            file,
            command,
          })),
        )
        .filter(({ command }) => !PROSE.has(command)),
    );

/** Words that follow the program's name in sentences. */
const PROSE = new Set(['needs', 'explains', 'config', 'cluster', 'heartbeat', 'as', 'running']);
