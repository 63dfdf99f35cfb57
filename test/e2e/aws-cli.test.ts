// The emulator under tools that understudy did not write: the AWS CLI, as registered failover scripts use it, and moto, whose
// answers are the yardstick where moto is right (not for AssignPrivateIpAddresses, DryRun, the state of routes, and CreateRoute
// over a route with another target, which EC2 refuses).
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  AllocateAddressCommand,
  AssociateAddressCommand,
  CreateNetworkInterfaceCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSubnetCommand,
  CreateTagsCommand,
  CreateVpcCommand,
  DeleteRouteCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
  ReplaceRouteCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import test, { type ExecutionContext } from 'ava';
import { type Emulator, startEmulator } from '../../plugins/aws/emulator/emulator.js';
import type { VpcFile } from '../../plugins/aws/emulator/vpc-file.js';
import { twoZones, VIP } from '../plugins/aws/vpcs.js';
import { MOTO, startMoto } from '../support/moto.js';
import { pythonTool } from '../support/python-tools.js';

const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_DEFAULT_REGION: 'ap-northeast-2', AWS_PAGER: '' };
const REGION = CREDENTIALS.AWS_DEFAULT_REGION;

const withTool = (title: string, program: string, requirement: string, run: (t: ExecutionContext, path: string) => Promise<void>) =>
  test.serial(title, async (t) => {
    t.timeout(600_000);
    const path = pythonTool(program, requirement);
    if (path !== null) return run(t, path);
    t.log(`skipped: ${program} is not installed (pip install ${requirement})`);
    t.pass();
  });

const emulated = async (t: ExecutionContext, vpc: VpcFile): Promise<Emulator> => {
  const emulator = await startEmulator({ vpc });
  t.teardown(() => emulator.stop());
  return emulator;
};

withTool(
  'the AWS CLI: moves a route as registered scripts do, and understands every refusal',
  'aws',
  'awscli==1.45.11',
  async (t, path) => {
    const emulator = await emulated(t, twoZones());
    const run = promisify(execFile);
    const aws = async (...args: string[]): Promise<string> => {
      const options = { env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...CREDENTIALS }, timeout: 60_000 };
      try {
        return (await run(path, [...args, '--endpoint-url', emulator.url, '--output', 'text'], options)).stdout.trim();
      } catch (thrown) {
        return /An error occurred \((\S+)\)/.exec((thrown as { stderr: string }).stderr)?.[1] ?? String(thrown);
      }
    };
    const replace = (table: string, ...more: string[]) =>
      aws('ec2', 'replace-route', '--route-table-id', table, '--destination-cidr-block', `${VIP}/32`, ...more);
    const target = `RouteTables[].Routes[?DestinationCidrBlock=='${VIP}/32'].NetworkInterfaceId`;

    await replace('rtb-1', '--network-interface-id', 'eni-b');
    t.is(await aws('ec2', 'describe-route-tables', '--route-table-ids', 'rtb-1', '--query', target), 'eni-b');
    t.is(
      await aws(
        'ec2',
        'describe-route-tables',
        '--filters',
        `Name=route.destination-cidr-block,Values=${VIP}/32`,
        '--query',
        'RouteTables[].RouteTableId',
      ),
      'rtb-1\trtb-2\trtb-3',
    );
    t.is(await replace('rtb-9', '--network-interface-id', 'eni-b'), 'InvalidRouteTableID.NotFound');
    t.is(await replace('rtb-1', '--network-interface-id', 'eni-9'), 'InvalidNetworkInterfaceID.NotFound');
    t.is(await replace('rtb-1', '--instance-id', 'i-b'), 'InvalidInstanceID');
    t.is(await replace('rtb-1', '--network-interface-id', 'eni-a', '--dry-run'), 'DryRunOperation');
    emulator.fault({ kind: 'deny', action: 'ReplaceRoute', resource: 'rtb-2' });
    t.is(await replace('rtb-2', '--network-interface-id', 'eni-b'), 'UnauthorizedOperation');
    await aws('ec2', 'modify-network-interface-attribute', '--network-interface-id', 'eni-b', '--source-dest-check');
    t.is(
      await aws('ec2', 'describe-network-interfaces', '--network-interface-ids', 'eni-b', '--query', 'NetworkInterfaces[].SourceDestCheck'),
      'True',
    );
    t.is(
      await aws(
        'ec2',
        'assign-private-ip-addresses',
        '--network-interface-id',
        'eni-a',
        '--private-ip-addresses',
        '10.0.2.50',
        '--allow-reassignment',
      ),
      'InvalidParameterValue',
    );
    t.is(
      await aws(
        'ec2',
        'stop-instances',
        '--instance-ids',
        'i-a',
        '--force',
        '--query',
        'StoppingInstances[].[PreviousState.Name,CurrentState.Name]',
      ),
      'running\tstopping',
    );
    t.is(await aws('ec2', 'describe-instances', '--instance-ids', 'i-a', '--query', 'Reservations[].Instances[].State.Name'), 'stopped');
    t.regex(
      await aws(
        'sts',
        'assume-role',
        '--role-arn',
        'arn:aws:iam::444455556666:role/network',
        '--role-session-name',
        'cli',
        '--query',
        'Credentials.AccessKeyId',
      ),
      /^ASIA/,
    );
  },
);

// ---- moto

const clientOf = (t: ExecutionContext, endpoint: string): EC2Client => {
  const client = new EC2Client({ region: REGION, endpoint, credentials: { accessKeyId: 'x', secretAccessKey: 'x' }, maxAttempts: 1 });
  t.teardown(() => client.destroy());
  return client;
};

interface Ids {
  readonly vpc: string;
  readonly subnet: string;
  readonly table: string;
  readonly instance: string;
  readonly first: string;
  readonly second: string;
  readonly allocation: string;
}

/** The smallest VPC in which a route can move, made in moto. */
const makeInMoto = async (moto: EC2Client): Promise<{ ids: Ids; file: VpcFile }> => {
  const vpc = (await moto.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }))).Vpc!.VpcId!;
  const subnet = (await moto.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock: '10.0.1.0/24', AvailabilityZone: `${REGION}a` })))
    .Subnet!.SubnetId!;
  const [instance] = (
    await moto.send(
      new RunInstancesCommand({ ImageId: 'ami-12c6146b', MinCount: 1, MaxCount: 1, SubnetId: subnet, PrivateIpAddress: '10.0.1.10' }),
    )
  ).Instances!;
  const first = instance!.NetworkInterfaces![0]!;
  const second = (await moto.send(new CreateNetworkInterfaceCommand({ SubnetId: subnet, PrivateIpAddress: '10.0.1.11' })))
    .NetworkInterface!;
  const table = (await moto.send(new CreateRouteTableCommand({ VpcId: vpc }))).RouteTable!.RouteTableId!;
  const elastic = await moto.send(new AllocateAddressCommand({ Domain: 'vpc' }));
  const ids = {
    vpc,
    subnet,
    table,
    instance: instance!.InstanceId!,
    first: first.NetworkInterfaceId!,
    second: second.NetworkInterfaceId!,
    allocation: elastic.AllocationId!,
  };
  await moto.send(new CreateRouteCommand({ RouteTableId: table, DestinationCidrBlock: `${VIP}/32`, NetworkInterfaceId: ids.first }));
  const file: VpcFile = {
    region: REGION,
    vpcs: { [vpc]: { cidr: '10.0.0.0/16' } },
    subnets: { [subnet]: { vpc, cidr: '10.0.1.0/24', zone: `${REGION}a` } },
    instances: { [ids.instance]: { zone: `${REGION}a` } },
    interfaces: { [ids.first]: { subnet, address: '10.0.1.10', instance: ids.instance }, [ids.second]: { subnet, address: '10.0.1.11' } },
    routeTables: { [table]: { vpc, routes: [{ to: `${VIP}/32`, interface: ids.first }] } },
    elastic: { [ids.allocation]: { publicIp: elastic.PublicIp! } },
  };
  return { ids, file };
};

/** What each step answers, brought down to what both should agree on; an error is its code. */
const steps: readonly [what: string, (client: EC2Client, ids: Ids) => Promise<unknown>][] = [
  [
    'replace a route',
    (c, { table, second }) =>
      c
        .send(new ReplaceRouteCommand({ RouteTableId: table, DestinationCidrBlock: `${VIP}/32`, NetworkInterfaceId: second }))
        .then(() => 'done'),
  ],
  [
    'replace in an unknown table',
    (c, { second }) =>
      c.send(new ReplaceRouteCommand({ RouteTableId: 'rtb-00000000', DestinationCidrBlock: `${VIP}/32`, NetworkInterfaceId: second })),
  ],
  ['the route afterwards', (c, ids) => routes(c, ids)],
  [
    'create another route',
    (c, { table, first }) =>
      c
        .send(new CreateRouteCommand({ RouteTableId: table, DestinationCidrBlock: '192.168.0.11/32', NetworkInterfaceId: first }))
        .then(({ Return }) => Return),
  ],
  [
    'create it again',
    (c, { table, first }) =>
      c
        .send(new CreateRouteCommand({ RouteTableId: table, DestinationCidrBlock: '192.168.0.11/32', NetworkInterfaceId: first }))
        .then(({ Return }) => Return),
  ],
  [
    'delete it',
    (c, { table }) => c.send(new DeleteRouteCommand({ RouteTableId: table, DestinationCidrBlock: '192.168.0.11/32' })).then(() => 'done'),
  ],
  ['delete it again', (c, { table }) => c.send(new DeleteRouteCommand({ RouteTableId: table, DestinationCidrBlock: '192.168.0.11/32' }))],
  ['the routes in the end', (c, ids) => routes(c, ids)],
  ['tables by destination', (c) => tables(c, 'route.destination-cidr-block', `${VIP}/32`)],
  [
    'tag the table',
    (c, { table }) => c.send(new CreateTagsCommand({ Resources: [table], Tags: [{ Key: 'role', Value: 'clients' }] })).then(() => 'done'),
  ],
  ['tables by tag', (c) => tables(c, 'tag:role', 'clients')],
  ['source/destination check', (c, { first }) => check(c, first)],
  [
    'switch it off',
    (c, { first }) =>
      c
        .send(new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: first, SourceDestCheck: { Value: false } }))
        .then(() => 'done'),
  ],
  ['source/destination check afterwards', (c, { first }) => check(c, first)],
  ['an unknown interface', (c) => check(c, 'eni-00000000')],
  [
    'an interface by address',
    (c) =>
      c
        .send(new DescribeNetworkInterfacesCommand({ Filters: [{ Name: 'addresses.private-ip-address', Values: ['10.0.1.11'] }] }))
        .then(({ NetworkInterfaces }) =>
          NetworkInterfaces?.map((eni) => [eni.NetworkInterfaceId, eni.PrivateIpAddress, eni.SubnetId, eni.VpcId, eni.AvailabilityZone]),
        ),
  ],
  [
    'the subnet',
    (c, { subnet }) =>
      c
        .send(new DescribeSubnetsCommand({ SubnetIds: [subnet] }))
        .then(({ Subnets }) => Subnets?.map((one) => [one.SubnetId, one.VpcId, one.CidrBlock, one.State, one.AvailabilityZone])),
  ],
  [
    'the VPC',
    (c, { vpc }) =>
      c.send(new DescribeVpcsCommand({ VpcIds: [vpc] })).then(({ Vpcs }) => Vpcs?.map((one) => [one.VpcId, one.CidrBlock, one.State])),
  ],
  [
    'associate the elastic address',
    (c, { allocation, first }) =>
      c
        .send(new AssociateAddressCommand({ AllocationId: allocation, NetworkInterfaceId: first }))
        .then(({ AssociationId }) => AssociationId?.startsWith('eipassoc-')),
  ],
  [
    'the elastic address',
    (c, { allocation }) =>
      c
        .send(new DescribeAddressesCommand({ AllocationIds: [allocation] }))
        .then(({ Addresses }) => Addresses?.map((one) => [one.AllocationId, one.PublicIp, one.Domain, one.NetworkInterfaceId])),
  ],
  [
    'stop',
    (c, { instance }) =>
      c
        .send(new StopInstancesCommand({ InstanceIds: [instance], Force: true }))
        .then(({ StoppingInstances }) => StoppingInstances?.map((one) => [one.InstanceId, one.PreviousState, one.CurrentState])),
  ],
  ['stopped', (c, ids) => state(c, ids)],
  [
    'start',
    (c, { instance }) =>
      c
        .send(new StartInstancesCommand({ InstanceIds: [instance] }))
        .then(({ StartingInstances }) => StartingInstances?.map((one) => [one.PreviousState, one.CurrentState])),
  ],
  ['running', (c, ids) => state(c, ids)],
  ['an unknown instance', (c) => c.send(new StopInstancesCommand({ InstanceIds: ['i-00000000'] }))],
];

const routes = (client: EC2Client, { table }: Ids) =>
  client
    .send(new DescribeRouteTablesCommand({ RouteTableIds: [table] }))
    .then(({ RouteTables }) =>
      RouteTables?.[0]?.Routes?.map((one) => [one.DestinationCidrBlock, one.GatewayId, one.NetworkInterfaceId, one.Origin]),
    );
const tables = (client: EC2Client, Name: string, value: string) =>
  client
    .send(new DescribeRouteTablesCommand({ Filters: [{ Name, Values: [value] }] }))
    .then(({ RouteTables }) => RouteTables?.map((one) => one.RouteTableId));
const check = (client: EC2Client, id: string) =>
  client
    .send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [id] }))
    .then(({ NetworkInterfaces }) => NetworkInterfaces?.map((one) => one.SourceDestCheck));
const state = (client: EC2Client, { instance }: Ids) =>
  client
    .send(new DescribeInstancesCommand({ InstanceIds: [instance] }))
    .then(({ Reservations }) => Reservations?.[0]?.Instances?.[0]?.State);

withTool('moto: the same answers to the same requests', 'moto_server', MOTO, async (t, path) => {
  const moto = clientOf(t, await startMoto((end) => t.teardown(end), path));
  const { ids, file } = await makeInMoto(moto);
  const ours = clientOf(t, (await emulated(t, file)).url);
  const answers = async (client: EC2Client) => {
    const told: Record<string, unknown> = {};
    for (const [what, step] of steps) told[what] = await step(client, ids).catch((error: Error) => error.name);
    return told;
  };
  t.deepEqual(await answers(ours), await answers(moto));
});
