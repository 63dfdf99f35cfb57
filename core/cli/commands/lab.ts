// understudy lab: a VPC on this machine to learn on and to break. Words only; the lab itself is core/lab.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { parseDurationMs } from '../../config/fields.js';
import { UnderstudyError } from '../../errors/errors.js';
import { findLabs, LabClient, takeDown } from '../../lab/client.js';
import type { LabStatus } from '../../lab/lab.js';
import type { FromProbe } from '../../lab/probe-process.js';
import { startLab } from '../../lab/start.js';
import { print, printJson, printTable, stateText, styled } from '../output.js';

interface IdOption {
  readonly id?: string;
}
const ID_HELP = 'which lab (default: the only one there is, or `lab`)';

/** The lab that is meant when none is named: the only one. */
const idOf = ({ id }: IdOption): string => {
  if (id !== undefined) return id;
  const labs = findLabs();
  if (labs.length > 1)
    throw new UnderstudyError('USAGE', `there are ${labs.length} labs`, {
      hint: `Name one with --id: ${labs.map((lab) => lab.id).join(', ')}`,
    });
  return labs[0]?.id ?? 'lab';
};

const withLab = async <T>(options: IdOption, work: (lab: LabClient) => Promise<T>): Promise<T> => {
  const lab = await LabClient.connect(idOf(options));
  try {
    return await work(lab);
  } finally {
    lab.close();
  }
};

const oneOf = <Word extends string>(flag: string, word: string, allowed: readonly Word[]): Word => {
  const found = allowed.find((each) => each === word);
  if (found === undefined) throw new UnderstudyError('USAGE', `${flag} ${word} is none of ${allowed.join(', ')}`);
  return found;
};

const durationOf = (flag: string, text: string): number => {
  const ms = parseDurationMs(text);
  if (ms === null)
    throw new UnderstudyError('USAGE', `${flag} ${text} is not a duration`, { hint: `Write a number and a unit, e.g. ${flag} 5ms` });
  return ms;
};

const show = (status: LabStatus): void => {
  const { topology, observer } = status;
  print(`lab ${styled('bold', topology.id)}  ${topology.kind}  config ${status.config}`);
  print(
    `services ${status.services.join(', ') || 'none'} at ${topology.serviceAddress}; clients reach ${topology.floating[0]} at ${status.clientAddress}:${topology.ports[0]}`,
  );
  print();
  printTable(
    ['HOST', 'POWER', 'SERVICE', 'HEARTBEAT', 'ADDRESSES', 'PROCESSES'],
    topology.hosts.map(({ node, addresses }) => {
      const facts = status.hosts.find((host) => host.node === node);
      return [
        node,
        stateText(facts?.power ? 'up' : 'down'),
        addresses.service,
        `${addresses['heartbeat-1']} ${addresses['heartbeat-2']}`,
        facts?.addresses.join(' ') ?? '',
        String(facts?.pids.length ?? 0),
      ];
    }),
  );
  print();
  for (const [address, node] of Object.entries(status.routes)) print(`route ${address} -> ${node ?? 'nowhere'}`);
  for (const cut of status.cuts) print(`${styled('yellow', 'cut')} ${cut.node} ${cut.network} ${cut.direction}`);
  for (const { node, timeoutMs, lateMs } of status.bites)
    print(`${styled('yellow', 'watchdog')} of ${node} bit after ${timeoutMs} ms (${lateMs.toFixed(1)} ms late)`);
  for (const { thing, nodes, fromMs, toMs } of observer?.overlaps ?? [])
    print(`${styled('red', 'overlap')} ${thing} on ${nodes.join(' and ')} for ${Math.round(toMs - fromMs)} ms`);
  for (const [thing, nodes] of Object.entries(observer?.holders ?? {})) print(`${thing}: ${nodes.join(', ') || 'nobody'}`);
};

const showProbe = (message: FromProbe): void => {
  if (message.t === 'first') print(`first answer from ${message.node}`);
  else if (message.t === 'gap')
    print(
      `gap of ${styled('bold', `${message.gap.ms.toFixed(1)} ms`)}, then ${message.gap.after}${message.gap.before === message.gap.after ? '' : ` (before: ${message.gap.before})`}`,
    );
  else if (message.t === 'end') {
    const { sent, answered, longestGapMs, answersByNode } = message.report;
    print(
      `${answered} of ${sent} requests answered (${
        Object.entries(answersByNode)
          .map(([node, count]) => `${node} ${count}`)
          .join(', ') || 'by nobody'
      }); longest gap ${longestGapMs.toFixed(1)} ms`,
    );
  }
};

const defineUp = (lab: Command): void => {
  lab
    .command('up')
    .description('makes a lab and powers its hosts on')
    .option('--id <name>', 'name of the lab, lower-case letters and digits', 'lab')
    .option('--substrate <kind>', 'netns (root: real packets), loopback (no root), auto', 'auto')
    .option('--nodes <names>', 'hosts, separated by commas', 'a,b')
    .option('--timing <profile>', 'timing profile of the cluster', 'lan')
    .option('--takeover <mode>', 'lease or preempt', 'lease')
    .option('--confirm <how>', 'with preempt: renewal or none', 'renewal')
    .option('--groups <file>', 'YAML file whose `groups:` replace the lab’s own; its other keys go into the config as they are')
    .option('--arbiter <service>', 'who keeps the leases: witness, etcd (three members), etcd:1', 'witness')
    .option('--bare', 'hosts run nothing: start things with lab exec', false)
    .addHelpText('after', '\nExample: understudy lab up --nodes a,b,c')
    .action(
      async (flags: {
        id: string;
        substrate: string;
        nodes: string;
        timing: string;
        takeover: string;
        confirm: string;
        groups?: string;
        bare: boolean;
        arbiter: string;
      }) => {
        const interrupt = new AbortController();
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
        const { groups, ...settings } = (flags.groups === undefined ? {} : parse(readFileSync(flags.groups, 'utf8'))) as {
          groups?: Record<string, unknown>;
        };
        const client = await startLab({
          id: flags.id,
          substrate: oneOf('--substrate', flags.substrate, ['auto', 'netns', 'loopback']),
          nodes: flags.nodes.split(','),
          options: {
            takeover: oneOf('--takeover', flags.takeover, ['lease', 'preempt']),
            confirm: oneOf('--confirm', flags.confirm, ['renewal', 'none']),
            timing: flags.timing,
            bare: flags.bare,
            arbiter: flags.arbiter,
            ...(groups === undefined ? {} : { groups }),
            settings,
          },
          onStep: print,
          signal: interrupt.signal,
        });
        show(await client.ask({ op: 'status' }));
        client.close();
        print(`\n${styled('yellow', 'next:')} understudy lab exec a -- understudy status`);
      },
    );
};

const defineOrders = (lab: Command): void => {
  lab
    .command('down')
    .description('removes a lab: hosts, processes, namespaces, files; also one whose own processes died')
    .option('--id <name>', ID_HELP)
    .option('--all', 'every lab there is', false)
    .action(async (options: IdOption & { all: boolean }) => {
      const ids = options.all ? findLabs().map(({ id }) => id) : [idOf(options)];
      for (const id of ids) print(`lab ${id}: ${(await takeDown(id)) === 'ordered' ? 'down' : 'was stale, cleaned up'}`);
    });
  lab
    .command('status')
    .description('hosts, routes, cuts, and who has what')
    .option('--id <name>', ID_HELP)
    .option('--json', 'everything, with the observer’s intervals')
    .action((options: IdOption & { json?: boolean }) =>
      withLab(options, async (client) => {
        const status = await client.ask({ op: 'status' });
        if (options.json) printJson({ ...status, services: await client.ask({ op: 'state' }) });
        else show(status);
      }),
    );
  lab
    .command('fault <words...>')
    .description(
      'power-off a · power-on a · reset a · cut a heartbeat-1 [in|out] · heal · pause a · resume a · kill a guard|controller|leash|run|app · delete-address a · a service’s own, e.g. SERVICE latency 100ms',
    )
    .option('--id <name>', ID_HELP)
    .addHelpText('after', '\nExample: understudy lab fault cut a heartbeat-1 in')
    .action((words: string[], options: IdOption) => withLab(options, async (client) => print(await client.ask({ op: 'fault', words }))));
  lab
    .command('exec <host> <command...>')
    .description('runs a command on a host, where `understudy` finds that host’s daemon')
    .option('--id <name>', ID_HELP)
    .option('--timeout <duration>', 'it is ended after so long', '60s')
    .passThroughOptions()
    .addHelpText('after', '\nExample: understudy lab exec a -- understudy status')
    .action((node: string, argv: string[], options: IdOption & { timeout: string }) =>
      withLab(options, async (client) => {
        if (argv[0] === '--') argv = argv.slice(1);
        const timeoutMs = durationOf('--timeout', options.timeout);
        const done = await client.ask({ op: 'exec', node, argv, timeoutMs }, timeoutMs + 10_000);
        process.stdout.write(done.stdout);
        process.stderr.write(done.stderr);
        process.exitCode = done.exitCode ?? 1;
      }),
    );
};

const defineProbe = (lab: Command): void => {
  lab
    .command('probe')
    .description('a client that asks the floating address every few milliseconds and tells every gap; ends at Ctrl-C')
    .option('--id <name>', ID_HELP)
    .option('--kind <kind>', 'http (a new connection each) or udp', 'http')
    .option('--every <duration>', 'one request each so often', '5ms')
    .option('--for <duration>', 'ends by itself after so long', '10m')
    .option('--note <duration>', 'tells gaps from this length', '50ms')
    .option('--json', 'the report alone, as JSON')
    .action((options: IdOption & { kind: string; every: string; for: string; note: string; json?: boolean }) =>
      withLab(options, async (client) => {
        const forMs = durationOf('--for', options.for);
        const stop = (): void => void client.ask({ op: 'end-probe' });
        process.once('SIGINT', stop).once('SIGTERM', stop);
        const plan = {
          kind: oneOf('--kind', options.kind, ['http', 'udp']),
          port: 8080,
          everyMs: durationOf('--every', options.every),
          forMs,
          noteGapMs: durationOf('--note', options.note),
        };
        const end = await client.ask({ op: 'probe', plan }, forMs + 30_000, (message) => (options.json ? undefined : showProbe(message)));
        if (options.json && end.t === 'end') printJson(end.report);
        else showProbe(end);
      }),
    );
};

export const define = (command: Command): void => {
  command.addHelpText('after', '\nExample: understudy lab up');
  // Options of a command run by `exec` are that command's own.
  command.enablePositionalOptions();
  defineUp(command);
  defineOrders(command);
  defineProbe(command);
  for (const each of command.commands) each.exitOverride().showSuggestionAfterError().showHelpAfterError(false);
};
