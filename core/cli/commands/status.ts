// understudy status: the cluster on one screen; a bad state comes with its cause and the next command to type.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { lossSentence, resyncSentence } from '../../api/mirror-view.js';
import type { StatusView } from '../../api/views.js';
import { connect, type ConnectionOptions, connectionOptions } from '../connection.js';
import { durationText, print, printJson, printTable, stateText, styled } from '../output.js';

const showNodes = (view: StatusView): void => {
  printTable(
    ['NODE', 'STATE', 'HEARTBEAT LINKS'],
    view.nodes.map((node) => [
      node.id === view.node ? `${node.id} (this)` : node.id,
      `${stateText(node.state)}${node.jeopardy === true ? ` ${styled('yellow', 'jeopardy')}` : ''}`,
      node.links
        .map((link) => `${link.network} ${stateText(link.state)}${link.rttMs === null ? '' : ` ${link.rttMs.toFixed(1)} ms`}`)
        .join('  '),
    ]),
  );
};

const showGroup = (group: StatusView['groups'][number]): void => {
  const where = group.active === null ? '' : ` on ${styled('bold', group.active)}`;
  const lease = group.leaseRemainingMs > 0 ? `, lease for ${durationText(group.leaseRemainingMs)}` : '';
  print(`${styled('bold', group.id)}  ${stateText(group.state)}${where}  (epoch ${group.epoch}${lease})`);
  print(`  ${group.because}`);
  for (const resource of group.resources) {
    const reason = resource.reason === undefined || resource.reason === '' ? '' : `  ${resource.reason}`;
    print(`  ${resource.id} (${resource.type})  ${stateText(resource.state)}${reason}`);
  }
  for (const standby of group.standbys) {
    print(
      `  standby ${standby.node}: ${standby.ready ? stateText('ready') : `${styled('yellow', 'not ready')}: ${standby.blockers.join('; ')}`}`,
    );
  }
  if (group.nextCommand) print(`  ${styled('yellow', 'next:')} ${group.nextCommand}`);
};

const showMirror = (mirror: StatusView['mirrors'][number]): void => {
  const disks = Object.entries(mirror.disks).map(([node, disk]) => `${node} ${stateText(disk)}`);
  const primary = mirror.primary === null ? '' : `, primary on ${styled('bold', mirror.primary)}`;
  print(`${styled('bold', mirror.id)}  mirror, ${mirror.mode}${primary}, ${stateText(mirror.connection)}: ${disks.join(', ')}`);
  print(`  ${lossSentence(mirror)}`);
  if (mirror.suspended !== undefined) print(`  ${styled('red', 'writes wait:')} ${mirror.suspended}`);
  if (mirror.resync !== undefined) print(`  ${resyncSentence(mirror)}`);
};

const show = (view: StatusView): void => {
  print(`cluster ${styled('bold', view.cluster)}, seen from ${view.node}; ${arbiterText(view)}`);
  for (const alarm of view.alarms ?? []) print(`${styled('red', 'alarm:')} ${alarm}`);
  print();
  showNodes(view);
  for (const group of view.groups) {
    print();
    showGroup(group);
  }
  for (const mirror of view.mirrors) {
    print();
    showMirror(mirror);
  }
};

export const define = (command: Command): void => {
  connectionOptions(command)
    .option('--watch', 'again each second, until Ctrl-C')
    .addHelpText('after', '\nExample: understudy status --watch')
    .action(async (options: ConnectionOptions & { watch?: boolean }) => {
      const client = connect(options);
      do {
        const view = await client.status();
        if (options.watch && process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J');
        if (options.json) printJson(view);
        else show(view);
        if (options.watch) await sleep(1000);
      } while (options.watch);
    });
};

const arbiterText = ({ arbiter: { store, state, ageMs } }: StatusView): string =>
  store === 'none'
    ? styled('yellow', 'no store (two nodes decide by consent or fence)')
    : `arbiter ${stateText(state)}${ageMs === null ? '' : ` (${durationText(ageMs)} ago)`}`;
