// A plugin as a user would write it, for tests with real processes: a resource is a file `<directory>/<resource>.<node>`.
// Every call is a line in `<directory>/calls`, so that a test can tell who started what beside whom.
export const TOY_PLUGIN = `
import { appendFileSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { definePlugin, options, text } from 'understudy/plugin';

const file = ({ options, resource, node }) => options.directory + '/' + resource + '.' + node;
const note = (what, context) => {
  const others = readdirSync(context.options.directory).filter((name) => name.startsWith(context.resource + '.') && !name.endsWith('.' + context.node));
  appendFileSync(context.options.directory + '/calls', [what, context.resource, context.node, others.length > 0 ? 'OVERLAP' : 'alone', process.hrtime.bigint()].join(' ') + '\\n');
};

export default definePlugin({
  name: 'toy',
  api: 1,
  agents: {
    toy: {
      summary: 'A file that is there while the resource runs.',
      options: options({ directory: text('Where the files are.') }),
      defaults: { everyMs: 200, monitorTimeoutMs: 1000, startTimeoutMs: 2000, stopTimeoutMs: 2000 },
      hardStop: () => [],
      agent: {
        async monitor(context) {
          return existsSync(file(context)) ? 'online' : 'offline';
        },
        async start(context) {
          context.checkLease();
          note('start', context);
          writeFileSync(file(context), '');
        },
        async stop(context) {
          note('stop', context);
          rmSync(file(context), { force: true });
        },
        async plan(op, context) {
          return [{ kind: 'file', what: op + ' ' + file(context) }];
        },
      },
    },
  },
});
`;
