// understudy events: the journal of this node, oldest first, as it is or as it grows. Works without a daemon.
import type { Command } from 'commander';
import { UnderstudyError } from '../../errors/errors.js';
import { followJournal } from '../../journal/follow-journal.js';
import { readJournal } from '../../journal/read-journal.js';
import type { JournalEvent } from '../../model/event.js';
import { systemClock } from '../../system/clock.js';
import { journalDir } from '../../system/paths.js';
import { type ConnectionOptions, connectionOptions, pathsOf } from '../connection.js';
import { print, styled } from '../output.js';

interface EventsOptions extends ConnectionOptions {
  readonly follow?: boolean;
  readonly group?: string;
  readonly kind?: string;
  readonly last: string;
  readonly audit?: boolean;
}

const lineOf = (event: JournalEvent): string => {
  const where = [event.group, event.resource].filter((word) => word !== undefined).join('/');
  return `${styled('gray', event.at)}  ${event.node}  ${styled('bold', event.kind.padEnd(18))} ${where}${event.epoch === undefined ? '' : ` @${event.epoch}`}  ${event.because ?? ''}`.trimEnd();
};

export const define = (command: Command): void => {
  connectionOptions(command)
    .option('-f, --follow', 'go on as it grows, until Ctrl-C')
    .option('--group <group>', 'of one group')
    .option('--kind <kind>', 'of one kind, or its first word: lease, action, peer')
    .option('--audit', 'only what operators asked for, and what became of it')
    .option('--last <count>', 'so many', '100')
    .addHelpText('after', '\nExample: understudy events -f --kind lease')
    .action(async (options: EventsOptions) => {
      const count = Number(options.last);
      if (!Number.isInteger(count) || count < 1)
        throw new UnderstudyError('USAGE', `--last ${options.last} is not a count`, { hint: 'Write a whole number, e.g. --last 200' });
      const directory = journalDir(pathsOf(options));
      const wanted = (event: JournalEvent) =>
        (options.audit !== true || event.kind === 'order' || event.kind.startsWith('audit.')) &&
        (options.group === undefined || event.group === options.group) &&
        (options.kind === undefined || event.kind === options.kind || event.kind.startsWith(`${options.kind}.`));
      const show = (event: JournalEvent) => print(options.json ? JSON.stringify(event) : lineOf(event));
      for (const event of (await readJournal(directory)).filter(wanted).slice(-count)) show(event);
      if (!options.follow) return;
      const stop = new AbortController();
      process.once('SIGINT', () => stop.abort());
      for await (const event of followJournal(directory, { clock: systemClock, signal: stop.signal })) if (wanted(event)) show(event);
    });
};
