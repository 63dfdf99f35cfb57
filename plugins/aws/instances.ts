// The EC2 calls that fences need, beside those of the agents (ec2.ts): instances as they are, stopping one, the security groups of
// interfaces. Each call is bounded and fails with an Ec2Failure and nothing else; nothing is repeated here, nothing is ever started
// or terminated.
import type { AwsEc2, CallLimits, Client } from './ec2.js';
import type { Sdk } from './ec2-clients.js';
import { Ec2Failure } from './failures.js';

export interface InstanceView {
  readonly id: string;
  /** EC2's word; an instance that EC2 does not know (any more) is no view but `absent`. */
  readonly state: string;
  readonly type: string;
  /** Every private address of every interface. */
  readonly addresses: readonly string[];
}

/** An interface with the security groups it has. */
export interface GroupedInterface {
  readonly id: string;
  readonly instance: string | null;
  readonly groups: readonly string[];
}

export interface SecurityGroupView {
  readonly id: string;
  /** How many rules let anything in or out. */
  readonly inbound: number;
  readonly outbound: number;
}

export interface Stop {
  readonly force: true;
  readonly skipOsShutdown: boolean;
  /** Asks whether it would be allowed; resolves when it would. */
  readonly dryRun?: boolean;
}

export interface Instances {
  /** null: EC2 does not know it. */
  instance(id: string, limits: CallLimits): Promise<InstanceView | null>;
  /** Resolves with the state that the answer tells it was in. */
  stop(id: string, how: Stop, limits: CallLimits): Promise<string>;
  /** The instance whose interface has this private address; null: none has it. */
  holderOf(address: string, limits: CallLimits): Promise<string | null>;
  interfacesOf(instance: string, limits: CallLimits): Promise<readonly GroupedInterface[]>;
  interfaces(ids: readonly string[], limits: CallLimits): Promise<readonly GroupedInterface[]>;
  setGroups(eni: string, groups: readonly string[], limits: CallLimits & { readonly dryRun?: boolean }): Promise<void>;
  securityGroup(id: string, limits: CallLimits): Promise<SecurityGroupView>;
}
export const Instances: unique symbol = Symbol('aws.Instances');

const OWN = { assumeRole: null } as const;
type Reservation = NonNullable<Awaited<ReturnType<typeof describe>>['Reservations']>[number];
type Instance = NonNullable<Reservation['Instances']>[number];

const describe = (client: Client, sdk: Sdk, InstanceIds: string[], abortSignal: AbortSignal) =>
  client.send(new sdk.DescribeInstancesCommand({ InstanceIds }), { abortSignal });

export class AwsInstances implements Instances {
  constructor(private readonly ec2: AwsEc2) {}

  async instance(id: string, limits: CallLimits): Promise<InstanceView | null> {
    try {
      const { Reservations = [] } = await this.ec2.call('DescribeInstances', OWN, limits, (client, sdk, signal) =>
        describe(client, sdk, [id], signal),
      );
      const found = Reservations.flatMap(({ Instances: some = [] }) => some).find(({ InstanceId }) => InstanceId === id);
      // An answer without error and without the instance says nothing that can be relied on.
      if (found === undefined) throw new Ec2Failure('transient', 'DescribeInstances', 'EmptyAnswer', `${id} was not in the answer`, false);
      return instanceView(found);
    } catch (thrown) {
      if (thrown instanceof Ec2Failure && thrown.code === 'InvalidInstanceID.NotFound') return null;
      throw thrown;
    }
  }

  async stop(id: string, { skipOsShutdown, dryRun = false }: Stop, limits: CallLimits): Promise<string> {
    const { StoppingInstances: [first] = [] } = await allowed(dryRun, () =>
      this.ec2.call('StopInstances', OWN, limits, (client, sdk, abortSignal) =>
        client.send(
          new sdk.StopInstancesCommand({
            InstanceIds: [id],
            Force: true,
            ...(skipOsShutdown && { SkipOsShutdown: true }),
            ...(dryRun && { DryRun: true }),
          }),
          { abortSignal },
        ),
      ),
    );
    return first?.PreviousState?.Name ?? 'unknown';
  }

  async holderOf(address: string, limits: CallLimits): Promise<string | null> {
    const Name = address.includes(':') ? 'ipv6-addresses.ipv6-address' : 'addresses.private-ip-address';
    const found = await this.grouped({ Filters: [{ Name, Values: [address] }] }, limits);
    return found.find(({ instance }) => instance !== null)?.instance ?? null;
  }

  async interfacesOf(instance: string, limits: CallLimits): Promise<readonly GroupedInterface[]> {
    return this.grouped({ Filters: [{ Name: 'attachment.instance-id', Values: [instance] }] }, limits);
  }

  async interfaces(ids: readonly string[], limits: CallLimits): Promise<readonly GroupedInterface[]> {
    return this.grouped({ NetworkInterfaceIds: [...ids] }, limits);
  }

  async setGroups(
    eni: string,
    groups: readonly string[],
    { dryRun = false, ...limits }: CallLimits & { readonly dryRun?: boolean },
  ): Promise<void> {
    await allowed(dryRun, () =>
      this.ec2.call('ModifyNetworkInterfaceAttribute', OWN, limits, (client, sdk, abortSignal) =>
        client.send(
          new sdk.ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: eni, Groups: [...groups], ...(dryRun && { DryRun: true }) }),
          { abortSignal },
        ),
      ),
    );
  }

  async securityGroup(id: string, limits: CallLimits): Promise<SecurityGroupView> {
    const { SecurityGroups: [found] = [] } = await this.ec2.call('DescribeSecurityGroups', OWN, limits, (client, sdk, abortSignal) =>
      client.send(new sdk.DescribeSecurityGroupsCommand({ GroupIds: [id] }), { abortSignal }),
    );
    if (found === undefined)
      throw new Ec2Failure('absent', 'DescribeSecurityGroups', 'InvalidGroup.NotFound', `${id} was not in the answer`, false);
    return { id, inbound: found.IpPermissions?.length ?? 0, outbound: found.IpPermissionsEgress?.length ?? 0 };
  }

  private async grouped(
    input: { NetworkInterfaceIds: string[] } | { Filters: { Name: string; Values: string[] }[] },
    limits: CallLimits,
  ): Promise<readonly GroupedInterface[]> {
    const { NetworkInterfaces = [] } = await this.ec2.call('DescribeNetworkInterfaces', OWN, limits, (client, sdk, abortSignal) =>
      client.send(new sdk.DescribeNetworkInterfacesCommand(input), { abortSignal }),
    );
    return NetworkInterfaces.map(({ NetworkInterfaceId = '', Attachment, Groups = [] }) => ({
      id: NetworkInterfaceId,
      instance: Attachment?.InstanceId ?? null,
      groups: Groups.map(({ GroupId = '' }) => GroupId),
    }));
  }
}

/** The good answer to a dry run is an error of this code. */
const allowed = async <Answer extends object>(dryRun: boolean, call: () => Promise<Answer>): Promise<Answer | Record<string, never>> => {
  try {
    return await call();
  } catch (thrown) {
    if (dryRun && thrown instanceof Ec2Failure && thrown.code === 'DryRunOperation') return {};
    throw thrown;
  }
};

const instanceView = ({ InstanceId = '', InstanceType, State, PrivateIpAddress, NetworkInterfaces = [] }: Instance): InstanceView => {
  const all = NetworkInterfaces.flatMap(({ PrivateIpAddresses = [], Ipv6Addresses = [] }) => [
    ...PrivateIpAddresses.map(({ PrivateIpAddress: one }) => one),
    ...Ipv6Addresses.map(({ Ipv6Address: one }) => one),
  ]);
  return {
    id: InstanceId,
    state: State?.Name ?? 'unknown',
    type: InstanceType ?? 'unknown',
    addresses: [...new Set([PrivateIpAddress, ...all].filter((one) => one !== undefined))],
  };
};
