// understudy start GROUP: orders the group online; the first ready node of its preference takes it. Forced, where two nodes have no
// store and one cannot be heard: a person vouches that the other is off.
import type { Command } from 'commander';
import { UnderstudyError } from '../../errors/errors.js';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

interface StartFlags extends OrderFlags {
  readonly forceNoArbiter?: string;
}

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<group>', 'the group')
    .option(
      '--force-no-arbiter <group>',
      'two nodes without a store: start it although the other node is not heard. Say the name of the group once more: you vouch that the other is off',
    )
    .addHelpText('after', '\nExample: understudy start orders-db --why "upgrade done"')
    .action((group: string, flags: StartFlags) => {
      const { forceNoArbiter: confirm, why } = flags;
      if (confirm === undefined) return giveOrder('start', { group }, flags);
      if (confirm !== group)
        throw new UnderstudyError('USAGE', `start ${group} --force-no-arbiter ${confirm}: the two names differ`, {
          hint: 'Say the name of the group once more: if the other node runs, two nodes will be active.',
        });
      if (why === undefined)
        throw new UnderstudyError('USAGE', `start ${group} --force-no-arbiter needs --why: how you know that the other node is off`);
      return giveOrder('start', { group, confirm, force: true }, flags);
    });
};
