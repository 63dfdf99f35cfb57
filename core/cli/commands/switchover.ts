// understudy switchover GROUP [--to NODE]: the planned move: stop in order, hand over, start in order.
import type { Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<group>', 'the group')
    .option('--to <node>', 'the node to move to (default: the first ready one of its preference)')
    .addHelpText(
      'after',
      '\nExample: understudy switchover orders-db --to b --why "kernel update of a"\nSee first what it would do: understudy plan switchover orders-db --to b',
    )
    .action((group: string, flags: OrderFlags & { to?: string }) =>
      giveOrder('switchover', { group, ...(flags.to === undefined ? {} : { to: flags.to }) }, flags),
    );
};
