// understudy plan OPERATION GROUP: every step that the operation would take and every effect it would have, touching nothing.
import { Argument, type Command } from 'commander';
import { connect, type ConnectionOptions, connectionOptions } from '../connection.js';
import { print, printJson, styled } from '../output.js';

export const define = (command: Command): void => {
  connectionOptions(command)
    .addArgument(new Argument('<operation>', 'what to try').choices(['start', 'stop', 'switchover', 'failover']))
    .argument('<group>', 'the group')
    .option('--to <node>', 'the node to move to')
    .addHelpText('after', '\nExample: understudy plan failover orders-db')
    .action(async (operation: string, group: string, options: ConnectionOptions & { to?: string }) => {
      const plan = await connect(options).plan(operation, group, options.to);
      if (options.json) return printJson(plan);
      if (plan.steps.length === 0) print('nothing would be done');
      for (const [index, step] of plan.steps.entries()) {
        print(`${String(index + 1).padStart(2)}. ${step.node}: ${styled('bold', step.what)}  ${step.because}`);
        for (const effect of step.effects) {
          print(
            `      ${effect.kind}: ${effect.what}${effect.on === undefined ? '' : ` on ${effect.on}`}${effect.permission === undefined ? '' : `  [${effect.permission}]`}`,
          );
        }
      }
    });
};
