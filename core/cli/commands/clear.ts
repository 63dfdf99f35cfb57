// understudy clear GROUP: forgets failures and a give-up, so that the group may start again.
import type { Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<group>', 'the group')
    .addHelpText('after', '\nExample: understudy clear orders-db --why "disk replaced"')
    .action((group: string, flags: OrderFlags) => giveOrder('clear', { group }, flags));
};
