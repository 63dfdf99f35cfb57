// understudy maintenance on|off GROUP: no agent writes while it is on; the lease is kept, and the watchdog stays armed unless
// --no-watchdog is said.
import { Argument, type Command } from 'commander';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';

export const define = (command: Command): void => {
  orderOptions(command)
    .addArgument(new Argument('<state>', 'on or off').choices(['on', 'off']))
    .argument('<group>', 'the group')
    .option('--no-watchdog', 'with on: the watchdog does not reset this host for the group (work that stops the daemons for long)')
    .addHelpText('after', '\nExample: understudy maintenance on orders-db --why "manual upgrade"')
    .action((state: string, group: string, flags: OrderFlags & { readonly watchdog: boolean }) =>
      giveOrder(`maintenance-${state}`, { group, ...(flags.watchdog ? {} : { unwatched: true }) }, flags),
    );
};
