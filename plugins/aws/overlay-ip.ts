// The resource type `overlay-ip`: an address outside every subnet that route tables lead to the active node's ENI. Here its
// options, rights and hard-stop lines; the agent is in overlay-ip-agent.ts.
import { isIP } from 'node:net';
import { choice, defineAgent, durationMs, flag, list, options, text, type PermissionStatement, z } from 'understudy/plugin';
import { assumeRoleOption, eniOption, ROLE_ARN } from './options.js';
import { normalCidr } from './route-findings.js';

const address = (describe: string) =>
  text(describe).refine((value) => isIP(value) !== 0, 'write an address alone, e.g. 192.168.0.10 or fd00::10; /32 and /128 are implied');
const LABEL_MAX = 15; // IFNAMSIZ - 1, of `interface:label` as a whole (linux/if.h).

export const OVERLAY_IP_OPTIONS = options({
  address: address('The floating address, v4 or v6, outside every VPC block').optional(),
  addresses: list('Several addresses that move together', address('Address')).optional(),
  routeTables: list(
    'Every route table whose packets must reach the address',
    text('Route table id').regex(/^rtb-/, 'a route table id begins with rtb-'),
  )
    .refine((ids) => ids.length > 0, 'name at least one route table')
    .refine((ids) => new Set(ids).size === ids.length, 'a route table is named twice'),
  eni: eniOption,
  interface: text('The network interface that gets the address; `lo` will do, for packets are routed to the host').default('lo'),
  sourceDestCheck: choice('What to do about the ENI’s source/destination check, which must be off', ['enforce', 'verify', 'off']).default(
    'verify',
  ),
  createIfMissing: flag('Make the route in a table that has none', false),
  onStop: choice('What becomes of the routes on stop', ['keep', 'delete']).default('keep'),
  order: choice('What comes first on start; default: address-first, but route-first with requireAllTables', [
    'route-first',
    'address-first',
  ]).optional(),
  requireAllTables: flag('A table that cannot be moved and verified fails the start. Needed with takeover: preempt', false),
  label: text('Label of the address on the interface').optional(),
  assumeRole: assumeRoleOption,
  routeCheckEvery: durationMs('The routes are looked at so often', 30_000, { minMs: 1_000 }),
}).check((context) => {
  const { address, addresses, label, interface: name, order, requireAllTables } = context.value;
  const wrong = (path: string, message: string) => context.issues.push({ code: 'custom', path: [path], message, input: context.value });
  if ((address === undefined) === (addresses === undefined)) wrong('address', 'write either address or addresses');
  if (addresses?.length === 0) wrong('addresses', 'name at least one address');
  if (label !== undefined && `${name}:${label}`.length > LABEL_MAX)
    wrong('label', `"${name}:${label}" is longer than the ${LABEL_MAX} characters an interface label may have`);
  if (requireAllTables && order === 'address-first')
    wrong('order', 'requireAllTables verifies the routes before the address appears: leave order out or write route-first');
});
export type OverlayIpOptions = z.output<typeof OVERLAY_IP_OPTIONS>;

export const addressesOf = ({ address, addresses }: OverlayIpOptions): readonly string[] =>
  addresses ?? (address === undefined ? [] : [address]);
export const prefixLengthOf = (address: string): 32 | 128 => (isIP(address) === 6 ? 128 : 32);
export const destinationsOf = (parsed: OverlayIpOptions): readonly string[] =>
  addressesOf(parsed).map((one) => normalCidr(`${one}/${prefixLengthOf(one)}`));

/** Least privilege: reads cannot be narrowed in EC2, every write is. */
export const overlayIpPermissions = (parsed: OverlayIpOptions): readonly PermissionStatement[] => {
  const { routeTables, eni, assumeRole, createIfMissing, onStop, sourceDestCheck } = parsed;
  const account = ROLE_ARN.exec(assumeRole ?? '')?.[1] ?? '*';
  const tables = routeTables.map((id) => `arn:aws:ec2:*:${account}:route-table/${id}`);
  const reads = ['ec2:DescribeRouteTables', ...(sourceDestCheck === 'off' ? [] : ['ec2:DescribeNetworkInterfaces'])];
  return [
    { actions: reads, resources: ['*'], why: 'read back and watch the routes; EC2 has no narrower right to read' },
    { actions: ['ec2:ReplaceRoute'], resources: tables, why: 'lead the address to the active node' },
    ...(createIfMissing ? [{ actions: ['ec2:CreateRoute'], resources: tables, why: 'createIfMissing' }] : []),
    ...(onStop === 'delete' ? [{ actions: ['ec2:DeleteRoute'], resources: tables, why: 'onStop: delete' }] : []),
    ...(sourceDestCheck === 'enforce'
      ? [
          {
            actions: ['ec2:ModifyNetworkInterfaceAttribute'],
            resources: [`arn:aws:ec2:*:*:network-interface/${eni ?? '*'}`],
            why: 'sourceDestCheck: enforce',
          },
        ]
      : []),
    ...(assumeRole === undefined
      ? []
      : [
          {
            actions: ['sts:AssumeRole'],
            resources: [assumeRole],
            why: 'the statements above belong to this role, in the account that owns the VPC',
          },
        ]),
  ];
};

export const overlayIp = defineAgent({
  summary: 'An overlay IP: N route tables moved in parallel to the active node’s ENI, each verified, and the address on its interface.',
  options: OVERLAY_IP_OPTIONS,
  // A late ReplaceRoute of an old holder leads to a node that has neither address nor application, and is put right (SAFETY a.7).
  fencedByEpoch: true,
  defaults: { everyMs: 5_000, monitorTimeoutMs: 10_000, startTimeoutMs: 180_000, stopTimeoutMs: 30_000 },
  permissions: overlayIpPermissions,
  hardStop: ({ options: parsed, addressLine }) => addressesOf(parsed).map((one) => addressLine(parsed.interface, one, prefixLengthOf(one))),
  agent: async () => (await import('./overlay-ip-agent.js')).OverlayIpAgent,
});
