// understudy stop GROUP: orders the group offline everywhere; nothing starts it again but start.
import type { Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<group>', 'the group')
    .addHelpText('after', '\nExample: understudy stop orders-db --why "schema migration"')
    .action((group: string, flags: OrderFlags) => giveOrder('stop', { group }, flags));
};
