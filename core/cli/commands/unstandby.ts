// understudy unstandby NODE: lets the node be a candidate again; nothing moves back by itself.
import type { Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<node>', 'the node')
    .addHelpText('after', '\nExample: understudy unstandby a')
    .action((node: string, flags: OrderFlags) => giveOrder('unstandby', { node }, flags));
};
