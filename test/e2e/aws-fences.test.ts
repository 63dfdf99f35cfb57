// The fences of the AWS plugin against moto, an EC2 that understudy did not write: the requests are those that the API takes, and the
// states and error codes are read as it gives them.
import {
  CreateNetworkInterfaceCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeInstancesCommand,
  EC2Client,
  RevokeSecurityGroupEgressCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import test from 'ava';
import { type FenceContext, type FenceDevice, Random, systemClock } from 'understudy/plugin';
import { silentLog } from 'understudy/testkit';
import { Ec2Clients } from '../../plugins/aws/ec2-clients.js';
import { Ec2FenceDevice } from '../../plugins/aws/ec2-fence-device.js';
import { EC2_FENCE_OPTIONS } from '../../plugins/aws/ec2-fence.js';
import { AwsEc2 } from '../../plugins/aws/ec2.js';
import { Imds } from '../../plugins/aws/imds.js';
import { AwsInstances, Instances } from '../../plugins/aws/instances.js';
import { SecurityGroupFenceDevice } from '../../plugins/aws/security-group-fence-device.js';
import { SECURITY_GROUP_FENCE_OPTIONS } from '../../plugins/aws/security-group-fence.js';
import { middle } from '../plugins/aws/agent-world.js';
import { MOTO, startMoto } from '../support/moto.js';
import { pythonTool } from '../support/python-tools.js';

const REGION = 'ap-northeast-2';
const CREDENTIALS = { accessKeyId: 'x', secretAccessKey: 'x', sessionToken: 'x', expiration: new Date('2099-01-01') };

test.serial('moto: ec2 stops and knows an unknown instance; security-group isolates', async (t) => {
  t.timeout(600_000);
  const program = pythonTool('moto_server', MOTO);
  if (program === null) {
    t.log(`skipped: moto_server is not installed (pip install ${MOTO})`);
    return t.pass();
  }
  const endpoint = await startMoto((end) => t.teardown(end), program);
  const admin = new EC2Client({ region: REGION, endpoint, credentials: CREDENTIALS });
  const vpc = (await admin.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }))).Vpc!.VpcId!;
  const subnet = (await admin.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock: '10.0.1.0/24' }))).Subnet!.SubnetId!;
  const group = async (name: string) =>
    (await admin.send(new CreateSecurityGroupCommand({ GroupName: name, Description: name, VpcId: vpc }))).GroupId!;
  const [leaky, isolated] = [await group('leaky'), await group('isolated')];
  await admin.send(
    new RevokeSecurityGroupEgressCommand({ GroupId: isolated, IpPermissions: [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }] }),
  );
  const run = async (PrivateIpAddress: string) => {
    const { Instances: [made] = [] } = await admin.send(
      new RunInstancesCommand({ ImageId: 'ami-12c6146b', MinCount: 1, MaxCount: 1, SubnetId: subnet, PrivateIpAddress }),
    );
    return { id: made!.InstanceId!, eni: made!.NetworkInterfaces![0]!.NetworkInterfaceId! };
  };
  const [a, b, c] = [await run('10.0.1.10'), await run('10.0.1.11'), await run('10.0.1.12')];
  const spare = (await admin.send(new CreateNetworkInterfaceCommand({ SubnetId: subnet }))).NetworkInterface!.NetworkInterfaceId!;

  const imds: Imds = {
    instance: () => Promise.resolve(a.id),
    region: () => Promise.resolve(REGION),
    eni: () => Promise.resolve(a.eni),
    credentials: () => Promise.resolve(CREDENTIALS),
  };
  const clients = new Ec2Clients({ region: REGION, endpoint, imdsEndpoint: endpoint }, imds);
  t.teardown(() => {
    clients.destroy();
    admin.destroy();
  });
  const services = new Map<symbol, unknown>([
    [Instances, new AwsInstances(new AwsEc2(clients, systemClock))],
    [Imds, imds],
    [Random, middle],
  ]);
  const context: FenceContext = {
    cluster: 'test',
    node: 'a',
    nodes: ['a', 'b', 'c', 'd'].map((id, index) => ({ id, zone: null, serviceAddress: `10.0.1.${10 + index}` })),
    log: silentLog,
    run: () => Promise.reject(new Error('a cloud fence runs no commands')),
    clock: systemClock,
    service: <T>(token: symbol) => services.get(token) as T,
  };
  const fence = (device: FenceDevice, node: string) =>
    device.fence({ node, bootId: 'b', epoch: 1, attempt: 1, signal: AbortSignal.timeout(60_000), limitMs: 60_000 });
  const ec2 = new Ec2FenceDevice(EC2_FENCE_OPTIONS.parse({ instances: { a: a.id, b: b.id, c: c.id, d: 'i-0123456789abcdef0' } }), context);
  const groups = (more: Record<string, unknown> = {}) =>
    new SecurityGroupFenceDevice(
      SECURITY_GROUP_FENCE_OPTIONS.parse({
        group: isolated,
        interfaces: { a: [a.eni], b: [b.eni], c: [c.eni], d: [spare] },
        settle: '10s',
        acceptOpenConnections: true,
        ...more,
      }),
      context,
    );

  await t.throwsAsync(fence(groups({ group: leaky }), 'b'), { message: /0 inbound and 1 outbound rules/ });
  await t.throwsAsync(fence(groups({ group: 'sg-0123456789abcdef0' }), 'b'), { message: /not there \(Invalid\S*Group\S*\.NotFound/ });
  await t.throwsAsync(fence(groups({ interfaces: { b: [a.eni] } }), 'b'), { message: /the instance this runs on/ });
  t.regex((await fence(groups(), 'b')).evidence, new RegExp(`${b.eni} ${isolated} at`));

  t.regex((await fence(ec2, 'b')).evidence, /it was running, answered .* said stopped at .* and stopped at/);
  const { Reservations = [] } = await admin.send(new DescribeInstancesCommand({ InstanceIds: [b.id, a.id] }));
  const states = Reservations.flatMap(({ Instances: some = [] }) => some).map(({ InstanceId, State }) => [InstanceId, State?.Name]);
  t.deepEqual(Object.fromEntries(states), { [a.id]: 'running', [b.id]: 'stopped' });
  // moto is wrong here: it lets a terminated instance be stopped. EC2 and the emulator refuse with IncorrectInstanceState.
  await admin.send(new TerminateInstancesCommand({ InstanceIds: [c.id] }));
  t.regex((await fence(ec2, 'c')).evidence, /it was terminated, answered/);
  t.regex((await fence(ec2, 'd')).evidence, /refused with InvalidInstanceID.NotFound, answered .* said absent at .* and absent at/);
});
