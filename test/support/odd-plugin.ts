// A user's plugin in one .ts file with no build, whose monitors do what none should: throw, never settle, hold the event loop.
// They also end the process and forget a promise that fails. Each begins when a file `<directory>/<type>.<node>` is there and behaves again when it is gone.
export const ODD_PLUGIN = `
import { appendFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { type ActionContext, definePlugin, type MonitorContext, options, text } from 'understudy/plugin';

interface Odd {
  readonly directory: string;
}
const file = ({ options: { directory }, resource, node }: MonitorContext<Odd>): string => directory + '/online.' + resource + '.' + node;
const odd = (type: string, misbehave: () => Promise<void>) => ({
  summary: 'A resource whose monitor can be told to ' + type + '.',
  options: options({ directory: text('Where its files are.') }),
  hardStop: () => [],
  agent: {
    async monitor(context: MonitorContext<Odd>) {
      if (existsSync(context.options.directory + '/' + type + '.' + context.node)) await misbehave();
      return existsSync(file(context)) ? ('online' as const) : ('offline' as const);
    },
    async start(context: ActionContext<Odd>) {
      context.checkLease();
      writeFileSync(file(context), '');
    },
    async stop(context: ActionContext<Odd>) {
      rmSync(file(context), { force: true });
    },
  },
});

export default definePlugin({
  name: 'odd',
  api: 1,
  version: '1.2.3',
  agents: {
    thrower: odd('throw', async () => {
      throw new Error('it is Monday');
    }),
    hanger: odd('hang', () => new Promise(() => undefined)),
    leaver: odd('leave', async () => {
      process.exit(3);
    }),
    forgetter: odd('forget', async () => {
      void Promise.reject(new Error('nobody waits for this'));
      setTimeout(() => {
        throw new Error('nor for this');
      }, 10);
    }),
    blocker: odd('block', async () => {
      const end = process.hrtime.bigint() + 30_000_000_000n;
      while (process.hrtime.bigint() < end);
    }),
  },
  hooks: {
    afterFailover: {
      limitMs: 2000,
      async run({ node, group, from, to }) {
        const { UNDERSTUDY_DRILL_HOOKS: log } = process.env;
        if (log !== undefined) appendFileSync(log, ['afterFailover', 'plugin', node, group, from, to].join(' ') + '\\n');
      },
    },
  },
});
`;

/** An AWS CLI with the two commands that route scripts use, on the real client: prints what \`--output text\` would. */
export const TINY_AWS = (node: string, client: string, endpoint: string): string => `#!${node}
const { EC2Client, ReplaceRouteCommand, DescribeRouteTablesCommand } = require(${JSON.stringify(client)});
const words = process.argv.slice(2);
const option = (name) => words[words.indexOf('--' + name) + 1];
const ec2 = new EC2Client({ region: 'ap-northeast-2', endpoint: ${JSON.stringify(endpoint)}, credentials: { accessKeyId: 'script', secretAccessKey: 'script' } });
const fail = (error) => { process.stderr.write(String(error) + '\\n'); process.exit(254); };
if (words[1] === 'replace-route') {
  ec2.send(new ReplaceRouteCommand({ RouteTableId: option('route-table-id'), DestinationCidrBlock: option('destination-cidr-block'), NetworkInterfaceId: option('network-interface-id') })).catch(fail);
} else if (words[1] === 'describe-route-tables') {
  const cidr = /=='([^']+)'/.exec(option('query'))[1];
  ec2.send(new DescribeRouteTablesCommand({ RouteTableIds: [option('route-table-ids')] })).then(
    ({ RouteTables }) => console.log(RouteTables[0].Routes.find((route) => route.DestinationCidrBlock === cidr)?.NetworkInterfaceId ?? 'None'),
    fail,
  );
} else fail('no such command: ' + words.join(' '));
`;
