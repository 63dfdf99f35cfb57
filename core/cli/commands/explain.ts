// understudy explain [INCIDENT]: what happened, why, and how long each step took. Works without a daemon, on the journal files.
import type { Command } from 'commander';
import { UnderstudyError } from '../../errors/errors.js';
import { readJournal } from '../../journal/read-journal.js';
import { explain } from '../../planner/explain.js';
import { renderTimeline } from '../../planner/render-timeline.js';
import { journalDir } from '../../system/paths.js';
import { type ConnectionOptions, connectionOptions, pathsOf } from '../connection.js';
import { print, printJson } from '../output.js';

export const define = (command: Command): void => {
  connectionOptions(command)
    .argument('[incident]', 'an incident id, or `last`', 'last')
    .addHelpText('after', '\nExample: understudy explain last')
    .action(async (incident: string, options: ConnectionOptions) => {
      const directory = journalDir(pathsOf(options));
      const timeline = explain(await readJournal(directory), incident === 'last' ? undefined : incident);
      if (timeline === null) {
        throw new UnderstudyError(
          'NOT_FOUND',
          `no incident${incident === 'last' ? '' : ` ${incident}`} in the journal of this node (${directory})`,
          { hint: 'See understudy events for what this node has seen; the story lies on the node that took over.' },
        );
      }
      if (options.json) return printJson(timeline);
      for (const line of renderTimeline(timeline)) print(line);
    });
};
