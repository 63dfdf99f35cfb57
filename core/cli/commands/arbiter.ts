// understudy arbiter restore GROUP: an operator puts a lease record back that is gone, cannot be used, or is older than what this
// node has seen. Without it such a group stays where it is, or stays down: nobody guesses at who held it.
import type { Command } from 'commander';
import { UnderstudyError } from '../../errors/errors.js';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

interface ArbiterFlags extends OrderFlags {
  readonly confirm?: string;
  readonly epoch?: string;
}

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<what>', '`restore`')
    .argument('<group>', 'the group whose lease record was lost')
    .option('--confirm <group>', 'the name of the group once more')
    .option('--epoch <number>', 'at least this epoch: one that another node has seen, where that node cannot be heard')
    .addHelpText('after', '\nExample: understudy arbiter restore orders-db --confirm orders-db --why "the witness lost its disk"')
    .action((what: string, group: string, flags: ArbiterFlags) => {
      if (what !== 'restore') throw new UnderstudyError('USAGE', `there is no "arbiter ${what}"; say arbiter restore GROUP`);
      if (flags.confirm !== group)
        throw new UnderstudyError('USAGE', `arbiter restore ${group} writes who may run it: say the name once more`, {
          hint: `understudy arbiter restore ${group} --confirm ${group} --why "…"`,
        });
      if (flags.why === undefined) throw new UnderstudyError('USAGE', `arbiter restore ${group} needs --why: how the record was lost`);
      const epoch = flags.epoch === undefined ? undefined : Number(flags.epoch);
      if (epoch !== undefined && !(Number.isSafeInteger(epoch) && epoch >= 0))
        throw new UnderstudyError('USAGE', `--epoch ${flags.epoch} is no epoch`, {
          hint: 'Write the whole number that understudy status shows.',
        });
      return giveOrder('arbiter-restore', { group, confirm: group, ...(epoch === undefined ? {} : { epoch }) }, flags);
    });
};
