// understudy replay FILE: runs a captured decision again and says whether the planner of today decides the same.
import type { Command } from 'commander';
import { readCapture } from '../../journal/captures.js';
import { replay } from '../../journal/replay.js';
import { plan } from '../../planner/plan.js';
import { print, printJson, styled } from '../output.js';

export const define = (command: Command): void => {
  command
    .argument('<file>', 'a capture: <state-dir>/captures/*.json')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: understudy replay /var/lib/understudy/captures/000042.json')
    .action((file: string, options: { json?: boolean }) => {
      const replayed = replay(readCapture(file), plan);
      if (options.json) return printJson(replayed);
      for (const verdict of replayed.actual?.verdicts ?? [])
        print(`${styled('bold', verdict.group)}: ${verdict.state} by rule ${verdict.rule}: ${verdict.because}`);
      for (const action of replayed.actual?.actions ?? [])
        print(`  ${action.id}  ${action.because}${action.after.length === 0 ? '' : `  (after ${action.after.join(', ')})`}`);
      print(replayed.same ? 'the same plan as when it was captured' : styled('yellow', 'not the plan of when it was captured:'));
      for (const difference of replayed.differences) print(`  ${difference}`);
      if (!replayed.same) process.exitCode = 1;
    });
};
