// Mutants of plugins, which the swarm does not run: each is seen by the suite of its plugin.
import type { Mutant } from './mutant.js';

const FENCES = 'test/plugins/aws/fences.test.ts';
const because = 'the swarm runs a fence and an address of its own in place of the cloud';

export const OUTSIDE: readonly Mutant[] = [
  {
    name: 'terminated-is-unknown',
    rule: 'a.7 EC2',
    edits: [
      {
        module: 'plugins/aws/ec2-fence-device.js',
        find: "const OFF = ['stopped', 'terminated', 'absent'];",
        put: "const OFF = ['stopped', 'absent'];",
      },
    ],
    judge: { by: 'suite', file: FENCES, because },
  },
  {
    name: 'stopping-confirms',
    rule: 'a.7 EC2',
    edits: [
      {
        module: 'plugins/aws/ec2-fence-device.js',
        find: "const OFF = ['stopped', 'terminated', 'absent'];",
        put: "const OFF = ['stopped', 'stopping', 'terminated', 'absent'];",
      },
    ],
    judge: { by: 'suite', file: FENCES, because },
  },
  {
    name: 'address-kept-when-the-route-is-gone',
    rule: 'a.7 routes',
    edits: [
      {
        module: 'plugins/aws/overlay-ip-agent.js',
        find: 'await removeAddresses(this.addresses, wantedAddresses(context.options), context.signal);',
        put: `const { routes } = await this.inspect(context);
        if (routes.every(({ ours }) => ours))
            await removeAddresses(this.addresses, wantedAddresses(context.options), context.signal);`,
      },
    ],
    judge: { by: 'suite', file: 'test/plugins/aws/overlay-ip.test.ts', because },
  },
];
