// The fence `security-group`: its description and options. Importing this file loads no SDK. What it can prove is less than `ec2`
// can, and the options make whoever uses it say so.
import { defineFence, durationMs, list, options, table, text, z } from 'understudy/plugin';
import { inReach } from './ec2-fence.js';

export const SECURITY_GROUP_FENCE_OPTIONS = options({
  group: text('The isolation group: a security group of the nodes’ VPC without any rule').regex(
    /^sg-/,
    'a security group id begins with sg-',
  ),
  interfaces: table(
    'Every ENI of each node',
    list('ENI ids', text('ENI id').regex(/^eni-/, 'an ENI id begins with eni-')).refine(
      (ids) => ids.length > 0,
      'name every ENI of the node',
    ),
  ),
  settle: durationMs('So long after the groups are seen everywhere it waits before it confirms', 30_000, { minMs: 10_000 }),
  acceptOpenConnections: z
    .literal(true, {
      error:
        'write acceptOpenConnections: true when it is harmless that connections which are open now may go on: a security group stops new ones only',
    })
    .describe('Must be true: connections that are open and tracked are not cut by it'),
  account: text('Account id, for the printed permissions; default: any')
    .regex(/^\d{12}$/, 'an account id has 12 digits')
    .optional(),
});

export const securityGroupFence = defineFence({
  summary: 'Cuts a node off from new connections: its ENIs get an isolation group in place of their security groups.',
  options: SECURITY_GROUP_FENCE_OPTIONS,
  limitMs: 120_000,
  permissions: ({ group, interfaces, account }, reach) => [
    {
      actions: ['ec2:ModifyNetworkInterfaceAttribute'],
      resources: [
        ...inReach(interfaces, reach).flatMap((ids) => ids.map((id) => `arn:aws:ec2:*:${account ?? '*'}:network-interface/${id}`)),
        `arn:aws:ec2:*:${account ?? '*'}:security-group/${group}`,
      ],
      why: 'give the other node’s interfaces the isolation group',
    },
    {
      actions: ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeSecurityGroups'],
      resources: ['*'],
      why: 'see that they have it and that it lets nothing through; EC2 knows no narrower right to look',
    },
  ],
  open: async (parsed, context) => new (await import('./security-group-fence-device.js')).SecurityGroupFenceDevice(parsed, context),
});
