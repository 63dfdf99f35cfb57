// The emulator against the real SDK: what a client sees, what it may not do, and every fault it can be told to show.
import {
  AssignIpv6AddressesCommand,
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  CreateRouteCommand,
  CreateTagsCommand,
  DeleteRouteCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeInstanceStatusCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  DisassociateAddressCommand,
  EC2Client,
  ModifyInstanceAttributeCommand,
  ModifyNetworkInterfaceAttributeCommand,
  paginateDescribeRouteTables,
  ReplaceRouteCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2';
import test, { type ExecutionContext } from 'ava';
import { type Emulator, type EmulatorOptions, startEmulator } from '../../../plugins/aws/emulator/emulator.js';
import { faultFrom } from '../../../plugins/aws/emulator/fault-words.js';
import { ec2LabService } from '../../../plugins/aws/emulator/lab-service.js';
import type { RouteChange } from '../../../plugins/aws/emulator/follow.js';
import { twoZones, VIP, VIP6 } from './vpcs.js';

const clientOf = ({ url }: Emulator, settings = {}) =>
  new EC2Client({
    region: 'ap-northeast-2',
    endpoint: url,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
    ...settings,
  });

const set = async (t: ExecutionContext, options: Partial<EmulatorOptions> = {}) => {
  const emulator = await startEmulator({ vpc: twoZones(), ...options });
  const client = clientOf(emulator);
  t.teardown(async () => {
    client.destroy();
    await emulator.stop();
  });
  return { emulator, client };
};

const vip = (client: EC2Client, table = 'rtb-1') =>
  client
    .send(new DescribeRouteTablesCommand({ RouteTableIds: [table] }))
    .then(({ RouteTables }) => RouteTables?.[0]?.Routes?.find((route) => route.DestinationCidrBlock === `${VIP}/32`));

const move = (eni: string, table = 'rtb-1') =>
  new ReplaceRouteCommand({ RouteTableId: table, DestinationCidrBlock: `${VIP}/32`, NetworkInterfaceId: eni });
const nameOf = (error: unknown) => (error as Error).name;

test('a replaced route: seen by the next read, with interface, instance, state and origin', async (t) => {
  const { client } = await set(t);
  await client.send(move('eni-b'));
  t.like(await vip(client), {
    NetworkInterfaceId: 'eni-b',
    InstanceId: 'i-b',
    State: 'active',
    Origin: 'CreateRoute',
    InstanceOwnerId: '111122223333',
  });
});

const refusals: readonly [what: string, code: string, status: number, send: (client: EC2Client) => Promise<unknown>][] = [
  ['an unknown route table', 'InvalidRouteTableID.NotFound', 400, (c) => c.send(move('eni-a', 'rtb-9'))],
  ['an unknown interface', 'InvalidNetworkInterfaceID.NotFound', 400, (c) => c.send(move('eni-9'))],
  [
    'replacing a route that is not there',
    'InvalidParameterValue',
    400,
    (c) => c.send(new ReplaceRouteCommand({ RouteTableId: 'rtb-1', DestinationCidrBlock: '192.168.9.9/32', NetworkInterfaceId: 'eni-a' })),
  ],
  [
    'deleting a route that is not there',
    'InvalidRoute.NotFound',
    400,
    (c) => c.send(new DeleteRouteCommand({ RouteTableId: 'rtb-1', DestinationCidrBlock: '192.168.9.9/32' })),
  ],
  [
    'creating a route that leads elsewhere',
    'RouteAlreadyExists',
    400,
    (c) => c.send(new CreateRouteCommand({ RouteTableId: 'rtb-1', DestinationCidrBlock: `${VIP}/32`, NetworkInterfaceId: 'eni-b' })),
  ],
  [
    'a route to an instance with two interfaces',
    'InvalidInstanceID',
    400,
    (c) => c.send(new ReplaceRouteCommand({ RouteTableId: 'rtb-1', DestinationCidrBlock: `${VIP}/32`, InstanceId: 'i-b' })),
  ],
  [
    'the check of an instance with two interfaces',
    'InvalidInstanceID',
    400,
    (c) => c.send(new ModifyInstanceAttributeCommand({ InstanceId: 'i-b', SourceDestCheck: { Value: false } })),
  ],
  [
    'a taken private address',
    'InvalidParameterValue',
    400,
    (c) => c.send(new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: 'eni-a', PrivateIpAddresses: ['10.0.2.50'] })),
  ],
  [
    'the primary address of another',
    'InvalidParameterValue',
    400,
    (c) =>
      c.send(
        new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: 'eni-b2', PrivateIpAddresses: ['10.0.2.10'], AllowReassignment: true }),
      ),
  ],
  [
    'giving back an address of another',
    'InvalidParameterValue',
    400,
    (c) => c.send(new UnassignPrivateIpAddressesCommand({ NetworkInterfaceId: 'eni-a', PrivateIpAddresses: ['10.0.2.50'] })),
  ],
  [
    'an unknown filter',
    'InvalidParameterValue',
    400,
    (c) => c.send(new DescribeRouteTablesCommand({ Filters: [{ Name: 'colour', Values: ['red'] }] })),
  ],
  ['an unknown instance', 'InvalidInstanceID.NotFound', 400, (c) => c.send(new StopInstancesCommand({ InstanceIds: ['i-9'] }))],
  [
    'an unknown elastic address',
    'InvalidAllocationID.NotFound',
    400,
    (c) => c.send(new AssociateAddressCommand({ AllocationId: 'eipalloc-9', NetworkInterfaceId: 'eni-a' })),
  ],
  ['a dry run', 'DryRunOperation', 412, (c) => c.send(new ReplaceRouteCommand({ ...move('eni-b').input, DryRun: true }))],
];
for (const [what, code, status, send] of refusals) {
  test(`refused: ${what}: ${code}`, async (t) => {
    const { client, emulator } = await set(t);
    const before = emulator.vpc;
    const error = await t.throwsAsync(send(client));
    t.is(nameOf(error), code);
    t.is((error as unknown as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode, status);
    t.is(emulator.vpc, before, 'a refused request changes nothing');
  });
}

test('a dry run without the right: UnauthorizedOperation instead of DryRunOperation', async (t) => {
  const { client, emulator } = await set(t);
  emulator.fault({ kind: 'deny', action: 'ReplaceRoute' });
  t.is(
    nameOf(await t.throwsAsync(client.send(new ReplaceRouteCommand({ ...move('eni-b').input, DryRun: true })))),
    'UnauthorizedOperation',
  );
});

test('filters: by destination, VPC, tag and wildcard; several filters are an AND', async (t) => {
  const { client } = await set(t);
  const ids = async (...Filters: { Name: string; Values: string[] }[]) =>
    (await client.send(new DescribeRouteTablesCommand({ Filters }))).RouteTables?.map(({ RouteTableId }) => RouteTableId);
  t.deepEqual(await ids({ Name: 'route.destination-cidr-block', Values: [`${VIP}/32`] }), ['rtb-1', 'rtb-2', 'rtb-3']);
  t.deepEqual(await ids({ Name: 'vpc-id', Values: ['vpc-1'] }, { Name: 'tag:role', Values: ['client*'] }), ['rtb-1']);
  t.deepEqual(await ids({ Name: 'tag:role', Values: ['nobody'] }), []);
});

test('pages: every table once, by MaxResults and NextToken', async (t) => {
  const routeTables = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`rtb-${n}`, { vpc: 'vpc-1' }]));
  const { client, emulator } = await set(t, { vpc: { ...twoZones(), routeTables } });
  const seen: string[] = [];
  for await (const { RouteTables = [] } of paginateDescribeRouteTables({ client, pageSize: 5 }, {}))
    seen.push(...RouteTables.map(({ RouteTableId }) => RouteTableId!));
  t.deepEqual(seen, Object.keys(routeTables));
  t.is(emulator.calls.length, 3);
});

test('secondary address: moved with AllowReassignment, seen at the new interface only', async (t) => {
  const { client } = await set(t);
  await client.send(
    new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: 'eni-b2', PrivateIpAddresses: ['10.0.2.50'], AllowReassignment: true }),
  );
  const { NetworkInterfaces } = await client.send(
    new DescribeNetworkInterfacesCommand({ Filters: [{ Name: 'addresses.private-ip-address', Values: ['10.0.2.50'] }] }),
  );
  t.deepEqual(
    NetworkInterfaces?.map(({ NetworkInterfaceId }) => NetworkInterfaceId),
    ['eni-b2'],
  );
  await client.send(new UnassignPrivateIpAddressesCommand({ NetworkInterfaceId: 'eni-b2', PrivateIpAddresses: ['10.0.2.50'] }));
  await client.send(new AssignIpv6AddressesCommand({ NetworkInterfaceId: 'eni-b2', Ipv6Addresses: ['fd00:2::50'] }));
  t.like((await client.send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: ['eni-b2'] }))).NetworkInterfaces?.[0], {
    PrivateIpAddress: '10.0.2.11',
    Ipv6Addresses: [{ Ipv6Address: 'fd00:2::50' }],
  });
});

test('elastic address: reassociated unless that is forbidden, then given free', async (t) => {
  const { client } = await set(t);
  await client.send(new AssociateAddressCommand({ AllocationId: 'eipalloc-1', NetworkInterfaceId: 'eni-a' }));
  t.is(
    nameOf(
      await t.throwsAsync(
        client.send(new AssociateAddressCommand({ AllocationId: 'eipalloc-1', NetworkInterfaceId: 'eni-b', AllowReassociation: false })),
      ),
    ),
    'Resource.AlreadyAssociated',
  );
  await client.send(new AssociateAddressCommand({ AllocationId: 'eipalloc-1', NetworkInterfaceId: 'eni-b', AllowReassociation: true }));
  const { Addresses } = await client.send(new DescribeAddressesCommand({ PublicIps: ['203.0.113.10'] }));
  t.like(Addresses?.[0], { NetworkInterfaceId: 'eni-b', InstanceId: 'i-b', PrivateIpAddress: '10.0.2.10' });
  await client.send(new DisassociateAddressCommand({ AssociationId: Addresses![0]!.AssociationId! }));
  t.is((await client.send(new DescribeAddressesCommand({}))).Addresses?.[0]?.AssociationId, undefined);
});

test('instances: stopping until the power is off, then stopped and its route a blackhole; started again', async (t) => {
  let off = () => {};
  const powered: [string, boolean][] = [];
  const { client } = await set(t, {
    onPower: (instance, on) => {
      powered.push([instance, on]);
      return on ? Promise.resolve() : new Promise((resolve) => (off = resolve));
    },
  });
  const state = async () =>
    (await client.send(new DescribeInstancesCommand({ InstanceIds: ['i-a'] }))).Reservations?.[0]?.Instances?.[0]?.State?.Name;
  const { StoppingInstances } = await client.send(new StopInstancesCommand({ InstanceIds: ['i-a'], Force: true, SkipOsShutdown: true }));
  t.like(StoppingInstances?.[0], { PreviousState: { Name: 'running', Code: 16 }, CurrentState: { Name: 'stopping', Code: 64 } });
  t.is(await state(), 'stopping');
  t.is((await vip(client))?.State, 'active');
  off();
  t.is(await state(), 'stopped');
  t.is((await vip(client))?.State, 'blackhole');
  await client.send(new StartInstancesCommand({ InstanceIds: ['i-a'] }));
  t.is(await state(), 'running');
  t.deepEqual(powered, [
    ['i-a', false],
    ['i-a', true],
  ]);
});

test('power lost from inside: EC2 goes on saying running, only the status check fails', async (t) => {
  const { client, emulator } = await set(t);
  await emulator.powered('i-a', false);
  const { InstanceStatuses } = await client.send(new DescribeInstanceStatusCommand({ InstanceIds: ['i-a'] }));
  t.like(InstanceStatuses?.[0], { InstanceState: { Name: 'running' }, InstanceStatus: { Status: 'impaired' } });
});

test('subnets, VPCs and tags: as described, and as changed', async (t) => {
  const { client } = await set(t);
  await client.send(new CreateTagsCommand({ Resources: ['subnet-a', 'i-a'], Tags: [{ Key: 'owner', Value: 'db & <co>' }] }));
  t.like((await client.send(new DescribeSubnetsCommand({ Filters: [{ Name: 'tag:owner', Values: ['*'] }] }))).Subnets?.[0], {
    SubnetId: 'subnet-a',
    CidrBlock: '10.0.1.0/24',
    AvailabilityZone: 'ap-northeast-2a',
    Tags: [{ Key: 'owner', Value: 'db & <co>' }],
  });
  t.like((await client.send(new DescribeVpcsCommand({}))).Vpcs?.[0], { VpcId: 'vpc-1', CidrBlock: '10.0.0.0/16' });
});

// ---- where packets go

test('packets: every effective change is told before the answer arrives, and nothing else', async (t) => {
  const told: string[] = [];
  const { client, emulator } = await set(t, {
    onRoute: async ({ address, interface: eni }: RouteChange) => void told.push(`${address} ${eni}`),
  });
  const after = async (send: Promise<unknown>) => {
    await send;
    return told.splice(0);
  };
  t.deepEqual(told.splice(0).toSorted(), ['10.0.2.50 eni-b', `${VIP} eni-a`, `${VIP6} eni-a`]);
  t.deepEqual(await after(client.send(move('eni-b'))), [`${VIP} eni-b`]);
  t.deepEqual(await after(client.send(move('eni-b'))), [], 'the same target again');
  t.deepEqual(await after(client.send(move('eni-a', 'rtb-2'))), [], 'a table that the clients do not meet');
  t.deepEqual(
    await after(client.send(new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: 'eni-b', SourceDestCheck: { Value: true } }))),
    [`${VIP} null`],
    'foreign packets are dropped, own ones are not',
  );
  t.deepEqual(
    await after(
      client.send(new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: 'eni-b', SourceDestCheck: { Value: false } })),
    ),
    [`${VIP} eni-b`],
  );
  t.deepEqual((await after(client.send(new StopInstancesCommand({ InstanceIds: ['i-b'] })))).toSorted(), ['10.0.2.50 null', `${VIP} null`]);
  t.deepEqual(await after(emulator.change((vpc) => ({ ...vpc, routeTables: {} }))), [`${VIP6} null`], 'the others are nowhere already');
});

test('packets: one change at a time for an address, and a failed one is told again', async (t) => {
  const told: string[] = [];
  let running = 0;
  let failing = true;
  const { client } = await set(t, {
    onRoute: async ({ address, interface: eni }) => {
      if (address !== VIP) return;
      t.is((running += 1), 1, 'no two at once');
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (eni === 'eni-b2' && failing) throw new Error('no router');
      told.push(String(eni));
    },
  });
  await Promise.all([client.send(move('eni-b')), client.send(move('eni-a')), client.send(move('eni-b'))]);
  t.is(told.at(-1), 'eni-b');
  t.is(nameOf(await t.throwsAsync(client.send(move('eni-b2')))), 'InternalError');
  failing = false;
  await client.send(move('eni-b2'));
  t.is(told.at(-1), 'eni-b2');
});

// ---- faults

test('throttle: 503 RequestLimitExceeded, which the SDK knows as throttling', async (t) => {
  const { client, emulator } = await set(t);
  emulator.fault({ kind: 'throttle', times: 2 });
  const error = (await t.throwsAsync(client.send(move('eni-b')))) as Error & { $metadata: { httpStatusCode: number } };
  t.deepEqual([error.name, error.$metadata.httpStatusCode], ['RequestLimitExceeded', 503]);
  const patient = clientOf(emulator, { maxAttempts: 3 });
  await patient.send(move('eni-b'));
  patient.destroy();
  t.deepEqual(
    emulator.calls.map(({ outcome }) => outcome),
    ['RequestLimitExceeded', 'RequestLimitExceeded', 'ok'],
  );
});

test('deny by resource: only that table', async (t) => {
  const { client, emulator } = await set(t);
  const end = emulator.fault({ kind: 'deny', action: 'ReplaceRoute', resource: 'rtb-2' });
  await client.send(move('eni-b'));
  t.is(nameOf(await t.throwsAsync(client.send(move('eni-b', 'rtb-2')))), 'UnauthorizedOperation');
  end();
  await client.send(move('eni-b', 'rtb-2'));
});

test('reset: nothing happened; lost answer: it happened', async (t) => {
  const { client, emulator } = await set(t);
  emulator.fault({ kind: 'reset', action: 'ReplaceRoute', times: 1 });
  await t.throwsAsync(client.send(move('eni-b')), { code: 'ECONNRESET' });
  t.is((await vip(client))?.NetworkInterfaceId, 'eni-a');
  emulator.fault({ kind: 'lost-answer', action: 'ReplaceRoute', times: 1 });
  await t.throwsAsync(client.send(move('eni-b')), { code: 'ECONNRESET' });
  t.is((await vip(client))?.NetworkInterfaceId, 'eni-b');
});

test('hang: no answer, with or without the effect', async (t) => {
  const { client, emulator } = await set(t);
  emulator.fault({ kind: 'hang', action: 'ReplaceRoute', resource: 'rtb-1' });
  emulator.fault({ kind: 'hang', action: 'ReplaceRoute', resource: 'rtb-2', applied: true });
  for (const table of ['rtb-1', 'rtb-2'])
    await t.throwsAsync(client.send(move('eni-b', table), { abortSignal: AbortSignal.timeout(200) }), { name: 'AbortError' });
  t.is((await vip(client, 'rtb-1'))?.NetworkInterfaceId, 'eni-a');
  t.is((await vip(client, 'rtb-2'))?.NetworkInterfaceId, 'eni-b');
});

test('stale reads: a change is missed by so many reads, then seen', async (t) => {
  const { client, emulator } = await set(t);
  emulator.fault({ kind: 'stale', action: 'DescribeRouteTables', reads: 2 });
  await client.send(move('eni-b'));
  const seen = [];
  for (let read = 0; read < 4; read += 1) seen.push((await vip(client))?.NetworkInterfaceId);
  t.deepEqual(seen, ['eni-a', 'eni-a', 'eni-b', 'eni-b']);
});

test('unsigned: refused as EC2 refuses it', async (t) => {
  const { emulator } = await set(t);
  const answer = await fetch(emulator.url, { method: 'POST', body: 'Action=DescribeVpcs&Version=2016-11-15' });
  t.is(answer.status, 400);
  t.regex(await answer.text(), /<Response><Errors><Error><Code>MissingParameter<\/Code>.*AWSAccessKeyId.*<RequestID>/s);
});

test('control: faults by HTTP, all problems named, and the call log', async (t) => {
  const { client, emulator } = await set(t);
  const post = (path: string, value: unknown) => fetch(`${emulator.url}/_control/${path}`, { method: 'POST', body: JSON.stringify(value) });
  t.deepEqual(await (await post('fault', { kind: 'throttle', action: 'DescribeVpcs' })).json(), { id: 1 });
  await t.throwsAsync(client.send(new DescribeVpcsCommand({})), { name: 'RequestLimitExceeded' });
  t.is((await post('fault', { kind: 'trottle' })).status, 400);
  await post('clear', { id: 1 });
  await client.send(new DescribeVpcsCommand({}));
  const calls = (await (await fetch(`${emulator.url}/_control/calls`)).json()) as Record<string, string>[];
  t.deepEqual(
    calls.map(({ action, outcome }) => `${action} ${outcome}`),
    ['DescribeVpcs RequestLimitExceeded', 'DescribeVpcs ok'],
  );
  t.regex(calls[0]!['userAgent']!, /aws-sdk-js/);
});

// ---- IMDSv2

const imds = async (url: string, path: string, token?: string) => {
  const answer = await fetch(`${url}${path}`, { headers: token === undefined ? {} : { 'x-aws-ec2-metadata-token': token } });
  return { status: answer.status, text: await answer.text() };
};
const tokenFrom = async (url: string) =>
  (await fetch(`${url}/latest/api/token`, { method: 'PUT', headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '60' } })).text();

test('IMDS: no token, no answer; with one, what the asking host may know', async (t) => {
  const { emulator } = await set(t, { vpc: twoZones({ a: '127.0.0.1', aSubnet: '127.0.0.0/24' }) });
  t.is((await imds(emulator.url, '/latest/meta-data/instance-id')).status, 401);
  t.is((await fetch(`${emulator.url}/latest/api/token`, { method: 'PUT' })).status, 400);
  const token = await tokenFrom(emulator.url);
  const at = async (path: string) => (await imds(emulator.url, path, token)).text;
  t.is(await at('/latest/meta-data/instance-id'), 'i-a');
  const mac = await at('/latest/meta-data/mac');
  t.is(await at('/latest/meta-data/network/interfaces/macs/'), `${mac}/`);
  t.is(await at(`/latest/meta-data/network/interfaces/macs/${mac}/interface-id`), 'eni-a');
  t.is(await at(`/latest/meta-data/network/interfaces/macs/${mac}/subnet-id`), 'subnet-a');
  t.is(await at('/latest/meta-data/placement/region'), 'ap-northeast-2');
  const role = await at('/latest/meta-data/iam/security-credentials/');
  t.like(JSON.parse(await at(`/latest/meta-data/iam/security-credentials/${role}`)), { Code: 'Success', Type: 'AWS-HMAC' });
  t.is((await imds(emulator.url, '/latest/meta-data/spot/instance-action', token)).status, 404);
  t.is((await imds(emulator.url, '/_host/b/latest/meta-data/instance-id', token)).text, 'i-b');
});

test('IMDS: 503 and 401 on demand', async (t) => {
  const { emulator } = await set(t);
  const token = await tokenFrom(emulator.url);
  emulator.fault({ kind: 'error', action: 'IMDS', status: 503, times: 1 });
  t.is((await imds(emulator.url, '/latest/meta-data/iam/security-credentials/', token)).status, 503);
  emulator.fault({ kind: 'error', action: 'IMDS', status: 401, resource: '/latest/meta-data/mac' });
  t.is((await imds(emulator.url, '/latest/meta-data/mac', token)).status, 401);
});

// ---- the lab's service

test('lab service: hosts as instances, three tables with the address, routes and power by node name', async (t) => {
  const routed: string[] = [];
  let powered = (_what: string) => {};
  const switched = new Promise<string>((resolve) => (powered = resolve));
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: (message: string) => t.fail(message) };
  const service = await ec2LabService.start({
    hosts: [
      { node: 'a', serviceAddress: '10.0.1.10', zone: 'ap-northeast-2a' },
      { node: 'b', serviceAddress: '10.0.2.10', zone: 'ap-northeast-2c' },
    ],
    floating: [VIP],
    listenAddress: '127.0.0.1',
    directory: '',
    keyFile: '',
    log,
    route: async (address, node) => void routed.push(`${address} ${node}`),
    power: async (node, on) => powered(`${node} ${on}`),
  });
  t.teardown(() => service.stop());
  const { aws } = service.config as { aws: { endpoint: string; region: string } };
  const client = new EC2Client({ ...aws, credentials: { accessKeyId: 'x', secretAccessKey: 'x' }, maxAttempts: 1 });
  t.teardown(() => client.destroy());
  t.deepEqual(routed, [`${VIP} a`]);
  t.like(service.addressResource!(VIP), {
    use: 'overlay-ip',
    routeTables: ['rtb-lab-1', 'rtb-lab-2', 'rtb-lab-3'],
    on: { a: { eni: 'eni-lab-a' }, b: { eni: 'eni-lab-b' } },
  });
  await client.send(move('eni-lab-b', 'rtb-lab-1'));
  t.is(routed.at(-1), `${VIP} b`);
  t.regex(await service.fault!(['source-dest-check', 'b', 'on']), /on$/);
  t.is(routed.at(-1), `${VIP} null`);
  await service.fault!(['deny', 'ReplaceRoute', 'rtb-lab-2']);
  await t.throwsAsync(client.send(move('eni-lab-b', 'rtb-lab-2')), { name: 'UnauthorizedOperation' });
  await t.throwsAsync(service.fault!(['sulk']), { message: /"sulk" is no fault/ });
  await client.send(new StopInstancesCommand({ InstanceIds: ['i-lab-b'], Force: true, SkipOsShutdown: true }));
  t.is(await switched, 'b false');
});

test('fault words: read into faults', (t) => {
  const read = (words: string) => faultFrom(words.split(' '));
  t.deepEqual(read('latency 100ms'), { kind: 'fault', fault: { kind: 'latency', action: '*', ms: 100 } });
  t.deepEqual(read('stale DescribeRouteTables 2 reads'), {
    kind: 'fault',
    fault: { kind: 'stale', action: 'DescribeRouteTables', reads: 2 },
  });
  t.deepEqual(read('lost-answer ReplaceRoute rtb-lab-1 3 times'), {
    kind: 'fault',
    fault: { kind: 'lost-answer', action: 'ReplaceRoute', resource: 'rtb-lab-1', times: 3 },
  });
  t.deepEqual(read('clear'), { kind: 'clear' });
});
