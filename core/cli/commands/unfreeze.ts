// understudy unfreeze GROUP: ends a freeze; failures seen meanwhile are acted on.
import type { Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<group>', 'the group')
    .addHelpText('after', '\nExample: understudy unfreeze orders-db')
    .action((group: string, flags: OrderFlags) => giveOrder('unfreeze', { group }, flags));
};
