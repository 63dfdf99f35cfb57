// understudy start GROUP: orders the group online; the first ready node of its preference takes it.
import type { Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<group>', 'the group')
    .addHelpText('after', '\nExample: understudy start orders-db --why "upgrade done"')
    .action((group: string, flags: OrderFlags) => giveOrder('start', { group }, flags));
};
