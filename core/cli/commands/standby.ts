// understudy standby NODE: moves everything off the node and keeps it off until unstandby.
import type { Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<node>', 'the node')
    .addHelpText('after', '\nExample: understudy standby a')
    .action((node: string, flags: OrderFlags) => giveOrder('standby', { node }, flags));
};
