// The resource type `secondary-ip`: a private address of a subnet that moves between ENIs of that subnet. Here its options,
// rights and hard-stop lines; the agent is in secondary-ip-agent.ts.
import { isIPv4 } from 'node:net';
import { choice, defineAgent, durationMs, integer, options, text, type PermissionStatement, z } from 'understudy/plugin';
import { assumeRoleOption, eniOption, ROLE_ARN } from './options.js';

export const SECONDARY_IP_OPTIONS = options({
  address: text('A free private address of the nodes’ common subnet').refine(isIPv4, 'write an IPv4 address alone, e.g. 10.0.1.50'),
  prefixLength: integer('Prefix length on the interface', { min: 1, max: 32 }).default(32),
  eni: eniOption,
  interface: text('The network interface of that subnet, e.g. eth0'),
  onStop: choice('Whether EC2 is told on stop', ['keep', 'unassign']).default('keep'),
  label: text('Label of the address on the interface').optional(),
  assumeRole: assumeRoleOption,
  announce: integer('So many gratuitous ARPs after the address is up', { max: 20 }).default(3),
  checkEvery: durationMs('EC2 is asked so often who has the address', 30_000, { minMs: 1_000 }),
}).check((context) => {
  const { label, interface: name } = context.value;
  if (label === undefined || `${name}:${label}`.length <= 15) return;
  context.issues.push({
    code: 'custom',
    path: ['label'],
    message: `"${name}:${label}" is longer than the 15 characters an interface label may have`,
    input: context.value,
  });
});
export type SecondaryIpOptions = z.output<typeof SECONDARY_IP_OPTIONS>;

export const secondaryIpPermissions = ({ eni, assumeRole, onStop }: SecondaryIpOptions): readonly PermissionStatement[] => {
  const account = ROLE_ARN.exec(assumeRole ?? '')?.[1] ?? '*';
  const interfaces = [`arn:aws:ec2:*:${account}:network-interface/${eni ?? '*'}`];
  return [
    { actions: ['ec2:DescribeNetworkInterfaces'], resources: ['*'], why: 'see who has the address; EC2 has no narrower right to read' },
    { actions: ['ec2:AssignPrivateIpAddresses'], resources: interfaces, why: 'take the address over' },
    ...(onStop === 'unassign' ? [{ actions: ['ec2:UnassignPrivateIpAddresses'], resources: interfaces, why: 'onStop: unassign' }] : []),
    ...(assumeRole === undefined
      ? []
      : [{ actions: ['sts:AssumeRole'], resources: [assumeRole], why: 'the statements above belong to this role' }]),
  ];
};

export const secondaryIp = defineAgent({
  summary: 'A secondary private IP: assigned to the active node’s ENI within one subnet, and the address on its interface.',
  options: SECONDARY_IP_OPTIONS,
  // Neighbours learn it by ARP, and a late assignment would take it from the new holder: no (SAFETY a.7b).
  fencedByEpoch: false,
  defaults: { everyMs: 5_000, monitorTimeoutMs: 10_000, startTimeoutMs: 60_000, stopTimeoutMs: 30_000 },
  permissions: secondaryIpPermissions,
  hardStop: ({ options: { interface: name, address, prefixLength }, addressLine }) => [addressLine(name, address, prefixLength)],
  agent: async () => (await import('./secondary-ip-agent.js')).SecondaryIpAgent,
});
