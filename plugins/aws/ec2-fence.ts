// The fence `ec2`: its description and options. Importing this file loads no SDK; the device does (ec2-fence-device.ts).
import { defineFence, type FenceReach, flag, options, table, text } from 'understudy/plugin';

const INSTANCE = /^i-[a-z0-9-]+$/;

export const EC2_FENCE_OPTIONS = options({
  instances: table('The instance of each node', text('Instance id').regex(INSTANCE, 'an instance id looks like i-0123456789abcdef0')),
  checkAddress: flag('Refuse to stop an instance that does not have the service address of the node: it was replaced', true),
  account: text('Account id, for the printed permissions; default: any')
    .regex(/^\d{12}$/, 'an account id has 12 digits')
    .optional(),
});

/** What the table says of the nodes that are to be reached. */
export const inReach = <T>(table: Readonly<Record<string, T>>, reach: FenceReach | undefined): readonly T[] =>
  Object.entries(table).flatMap(([node, value]) => (reach === undefined || reach.targets.includes(node) ? [value] : []));

export const ec2Fence = defineFence({
  summary: 'Stops the node’s EC2 instance without a shutdown of its system, and waits until EC2 shows it stopped.',
  options: EC2_FENCE_OPTIONS,
  limitMs: 600_000,
  permissions: ({ instances, account }, reach) => [
    {
      actions: ['ec2:StopInstances'],
      resources: inReach(instances, reach).map((id) => `arn:aws:ec2:*:${account ?? '*'}:instance/${id}`),
      why: 'power the other node off',
    },
    {
      actions: ['ec2:DescribeInstances', 'ec2:DescribeNetworkInterfaces'],
      resources: ['*'],
      why: 'see that it is off and that no other instance took its place; EC2 knows no narrower right to look',
    },
  ],
  open: async (parsed, context) => new (await import('./ec2-fence-device.js')).Ec2FenceDevice(parsed, context),
});
