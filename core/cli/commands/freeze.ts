// understudy freeze GROUP: what runs is left running and watched; no takeover, no restart, no start.
import type { Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<group>', 'the group')
    .addHelpText('after', '\nExample: understudy freeze orders-db --why "network work until noon"')
    .action((group: string, flags: OrderFlags) => giveOrder('freeze', { group }, flags));
};
