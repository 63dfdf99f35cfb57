// A cloud for tests of the fences: the emulator, the real SDK client, metadata of node a, and time that the test moves. The
// emulator has the same time, so that an instance takes as long as the test says.
import { Random, systemClock, type FenceContext, type FenceNode } from 'understudy/plugin';
import { FakeClock, silentLog } from 'understudy/testkit';
import { Ec2Clients } from '../../../plugins/aws/ec2-clients.js';
import { AwsEc2 } from '../../../plugins/aws/ec2.js';
import { type Emulator, startEmulator } from '../../../plugins/aws/emulator/emulator.js';
import type { VpcFile } from '../../../plugins/aws/emulator/vpc-file.js';
import { HttpImds, Imds } from '../../../plugins/aws/imds.js';
import { AwsInstances, Instances } from '../../../plugins/aws/instances.js';
import { middle } from './agent-world.js';

/** Two nodes a and b; b has two interfaces; a group for each, and the isolation group. */
export const fenceVpc = (type = 'm7i.large'): VpcFile => ({
  vpcs: { 'vpc-1': { cidr: '10.0.0.0/16' } },
  subnets: { 'subnet-1': { vpc: 'vpc-1', cidr: '10.0.1.0/24', zone: 'ap-northeast-2a' } },
  instances: {
    'i-a': { zone: 'ap-northeast-2a', tags: { Name: 'a' } },
    'i-b': { zone: 'ap-northeast-2a', type },
    'i-c': { zone: 'ap-northeast-2a' },
  },
  interfaces: {
    'eni-a': { subnet: 'subnet-1', address: '10.0.1.10', instance: 'i-a', groups: ['sg-app'] },
    'eni-b': { subnet: 'subnet-1', address: '10.0.1.11', instance: 'i-b', groups: ['sg-app', 'sg-ssh'] },
    'eni-b2': { subnet: 'subnet-1', address: '10.0.1.12', instance: 'i-b', deviceIndex: 1, groups: ['sg-app'] },
    'eni-c': { subnet: 'subnet-1', address: '10.0.1.13', instance: 'i-c', groups: ['sg-app'] },
  },
  securityGroups: {
    'sg-app': { vpc: 'vpc-1', inbound: ['10.0.0.0/16'] },
    'sg-ssh': { vpc: 'vpc-1', inbound: ['10.0.0.0/16'] },
    'sg-isolated': { vpc: 'vpc-1', outbound: [] },
    'sg-leaky': { vpc: 'vpc-1' },
  },
});

const NODES: readonly FenceNode[] = [
  { id: 'a', zone: null, serviceAddress: '10.0.1.10' },
  { id: 'b', zone: null, serviceAddress: '10.0.1.11' },
];

export interface FenceWorld {
  readonly emulator: Emulator;
  readonly clock: FakeClock;
  readonly context: FenceContext;
  /** EC2 requests so far, without metadata. */
  readonly calls: () => Emulator['calls'];
  readonly idle: () => boolean;
  readonly end: () => Promise<void>;
}

export const startFenceWorld = async ({
  vpc = fenceVpc(),
  stopMs = 3_000,
  nodes = NODES,
  imdsOf = 'a',
}: {
  readonly vpc?: VpcFile;
  readonly stopMs?: number;
  readonly nodes?: readonly FenceNode[];
  /** null: metadata does not answer. */
  readonly imdsOf?: string | null;
} = {}): Promise<FenceWorld> => {
  const clock = new FakeClock();
  const emulator = await startEmulator({ vpc, clock, takes: { stopMs, gracefulStopMs: 20_000 } });
  const imds = new HttpImds({
    endpoint: `${emulator.url}/_host/${imdsOf ?? 'nobody'}`,
    clock: systemClock,
    random: middle,
    macOf: () => null,
  });
  const own = new HttpImds({ endpoint: `${emulator.url}/_host/a`, clock: systemClock, random: middle, macOf: () => null });
  const clients = new Ec2Clients(
    { region: 'ap-northeast-2', endpoint: emulator.url, stsEndpoint: emulator.url, imdsEndpoint: emulator.url },
    own,
  );
  const services = new Map<symbol, unknown>([
    [Instances, new AwsInstances(new AwsEc2(clients, clock))],
    [Imds, imds],
    [Random, middle],
  ]);
  const calls = () => emulator.calls.filter(({ action }) => action !== 'IMDS');
  return {
    emulator,
    clock,
    context: {
      cluster: 'test',
      node: 'a',
      nodes,
      log: silentLog,
      run: () => Promise.reject(new Error('a cloud fence runs no commands')),
      clock,
      service: <T>(token: symbol) => services.get(token) as T,
    },
    calls,
    idle: () => emulator.calls.every(({ untilMs, outcome }) => untilMs !== null || outcome === 'hang'),
    end: async () => {
      clients.destroy();
      await emulator.stop();
    },
  };
};
