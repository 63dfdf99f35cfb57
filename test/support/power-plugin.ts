// A fence for the labs of the drills: powers a host of the lab off through the lab's own door and looks whether it is off. With
// the file `broken` it refuses, as a switch without its rights would. Part of no package.
import { existsSync } from 'node:fs';
import { defineFence, definePlugin, options, text } from 'understudy/plugin';
import { LabClient } from '../../core/lab/client.js';

const labPower = defineFence({
  summary: 'Powers a host of the lab off',
  options: options({ lab: text('Which lab'), broken: text('While this file exists, nothing works') }),
  open: async ({ lab, broken }) => {
    const refused = () => (existsSync(broken) ? 'UnauthorizedOperation' : null);
    return {
      fence: async ({ node }) => {
        const why = refused();
        if (why !== null) throw new Error(why);
        const client = await LabClient.connect(lab);
        try {
          const isOff = async () => (await client.ask({ op: 'status' })).hosts.find((host) => host.node === node)?.power === false;
          if (!(await isOff())) await client.ask({ op: 'fault', words: ['power-off', node] });
          if (!(await isOff())) throw new Error(`${node} still has power`);
          return { evidence: `${node} has no power` };
        } finally {
          client.close();
        }
      },
      check: async () => refused(),
      close: async () => undefined,
    };
  },
});

export default definePlugin({ name: 'lab-power', api: 1, fences: { 'lab-power': async () => labPower } });
