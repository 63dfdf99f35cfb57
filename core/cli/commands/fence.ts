// understudy fence confirm NODE: an operator has looked and vouches that the node is off. Given to the node that shall take over.
import { Argument, type Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command, { whyRequired: true })
    .addArgument(new Argument('<verb>', 'confirm').choices(['confirm']))
    .argument('<node>', 'the node that is off')
    .requiredOption('--i-have-verified-it-is-off', 'said by somebody who has seen it: if it runs, two nodes will be active')
    .addHelpText('after', '\nExample: understudy fence confirm a --i-have-verified-it-is-off --why "pulled the plug"')
    .action((_verb: string, node: string, flags: OrderFlags) => giveOrder('fence-confirm', { node, confirm: node }, flags));
};
