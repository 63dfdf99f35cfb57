// understudy fence: powers a node off, shows what could, or takes an operator's word that a node is off. Given to the node that
// shall take over.
import type { Command } from 'commander';
import { UnderstudyError } from '../../errors/errors.js';
import { connect } from '../connection.js';
import { giveOrder, orderOptions, type OrderFlags } from '../order.js';
import { durationText, print, printJson, printTable, styled } from '../output.js';

interface FenceFlags extends OrderFlags {
  readonly iHaveVerifiedItIsOff?: boolean;
  readonly powerOff?: string;
  readonly force?: boolean;
}

export const define = (command: Command): void => {
  orderOptions(command)
    .argument('<what>', 'a node to power off; or `confirm`; or `status`')
    .argument('[node]', 'with confirm: the node that is off')
    .option('--i-have-verified-it-is-off', 'with confirm: said by somebody who has seen it: if it runs, two nodes will be active')
    .option('--power-off <node>', 'the name of the node to power off once more')
    .option('--force', 'power off also a node that is heard and holds a group')
    .addHelpText('after', '\nExample: understudy fence confirm a --i-have-verified-it-is-off --why "pulled the plug"')
    .action((what: string, node: string | undefined, flags: FenceFlags) =>
      what === 'status' ? status(flags) : what === 'confirm' ? confirm(node, flags) : powerOff(what, node, flags),
    );
};

const confirm = (node: string | undefined, flags: FenceFlags): Promise<void> => {
  if (node === undefined) throw new UnderstudyError('USAGE', 'fence confirm needs the node that is off');
  if (flags.iHaveVerifiedItIsOff !== true)
    throw new UnderstudyError('USAGE', `fence confirm ${node} needs --i-have-verified-it-is-off: if it runs, two nodes will be active`);
  if (flags.why === undefined) throw new UnderstudyError('USAGE', `fence confirm ${node} needs --why: how you know that it is off`);
  return giveOrder('fence-confirm', { node, confirm: node }, flags);
};

const powerOff = (node: string, more: string | undefined, flags: FenceFlags): Promise<void> => {
  if (more !== undefined)
    throw new UnderstudyError('USAGE', `there is no "fence ${node} ${more}"; say fence NODE, fence confirm NODE or fence status`);
  if (flags.powerOff !== node)
    throw new UnderstudyError('USAGE', `fence ${node} powers it off: say the name once more`, {
      hint: `understudy fence ${node} --power-off ${node} --why "…"`,
    });
  if (flags.why === undefined) throw new UnderstudyError('USAGE', `fence ${node} needs --why`);
  return giveOrder('fence', { node, confirm: flags.powerOff, ...(flags.force === true ? { force: true } : {}) }, flags);
};

const status = async (flags: FenceFlags): Promise<void> => {
  const view = await connect(flags).status();
  if (flags.json) return printJson(view.fences ?? null);
  if (view.fences === undefined) return print('the controller is away: nothing is known of its fences');
  const { devices, nodes } = view.fences;
  if (devices.length === 0) print('no fence is configured');
  else
    printTable(
      ['LEVEL', 'DEVICE', 'NODES', 'STATE'],
      devices.map(({ level, name, nodes: able, trouble, ageMs }) => [
        String(level),
        name,
        able === null ? 'all' : able.join(', '),
        trouble === null ? (ageMs === null ? 'not asked yet' : styled('green', 'usable')) : styled('red', trouble),
      ]),
    );
  for (const [node, { running, seen, failures, because, waitMs }] of Object.entries(nodes))
    print(
      `${node}: ${running ? `being fenced${seen === undefined ? '' : ` (${seen})`}` : `tried again in ${durationText(waitMs)}`}${failures === 0 ? '' : `; failed ${failures} times: ${because ?? ''}`}`,
    );
};
