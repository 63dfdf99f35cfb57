// understudy start GROUP: orders the group online; the first ready node of its preference takes it. Forced, where two nodes have no
// store and one cannot be heard: a person vouches that the other is off; where a mirror's good copy is not to be had: a person gives up
// what only that copy has.
import type { Command } from 'commander';
import { UnderstudyError } from '../../errors/errors.js';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

interface StartFlags extends OrderFlags {
  readonly forceNoArbiter?: string;
  readonly force?: boolean;
  readonly acceptDataLoss?: string;
  readonly on?: string;
}

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<group>', 'the group')
    .option(
      '--force-no-arbiter <group>',
      'two nodes without a store: start it although the other node is not heard. Say the name of the group once more: you vouch that the other is off',
    )
    .option('--force', 'a group with a mirror: use the copy of this node although it is not in sync; with --accept-data-loss')
    .option(
      '--accept-data-loss <group>',
      'say the name of the group once more: what was written elsewhere and never came here is lost for the service',
    )
    .option('--on <node>', 'with --force: whose copy; default: that of the node that is asked')
    .addHelpText('after', '\nExample: understudy start orders-db --why "upgrade done"')
    .action((group: string, flags: StartFlags) => {
      if (flags.force === true || flags.acceptDataLoss !== undefined || flags.on !== undefined) return forceCopy(group, flags);
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

const forceCopy = (group: string, flags: StartFlags): Promise<void> => {
  const { force, acceptDataLoss: confirm, on: node, why } = flags;
  if (force !== true || confirm === undefined)
    throw new UnderstudyError('USAGE', `start ${group}: --force and --accept-data-loss ${group} go together`, {
      hint: `Without loss, once a copy that is in sync is there: understudy start ${group}`,
    });
  if (confirm !== group)
    throw new UnderstudyError('USAGE', `start ${group} --accept-data-loss ${confirm}: the two names differ`, {
      hint: 'Say the name of the group once more: what only the other copy has is lost for the service.',
    });
  if (why === undefined)
    throw new UnderstudyError('USAGE', `start ${group} --force needs --why: why the copy that is in sync is not waited for`);
  return giveOrder('start', { group, confirm, acceptDataLoss: true, ...(node === undefined ? {} : { node }) }, flags);
};
