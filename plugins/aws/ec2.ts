// The EC2 API as the agents see it: a dozen calls, each bounded, each failing with an Ec2Failure and nothing else. No
// retries here: whether to ask again depends on the lease, which only the caller knows.
import { UnderstudyError, type Clock } from 'understudy/plugin';
import type { Ec2Clients, Sdk } from './ec2-clients.js';
import { Ec2Failure, failureOf } from './failures.js';

/** In whose name a call is made: the node's own role, or one assumed for it (a shared VPC). */
export interface Access {
  readonly assumeRole: string | null;
}

/** What one call may take. */
export interface CallLimits {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface Route {
  readonly table: string;
  /** `192.168.0.10/32`, `fd00::10/128`. */
  readonly destination: string;
}

export interface RouteView {
  readonly destination: string;
  /** The ENI it leads to; null for any other target. */
  readonly interface: string | null;
  /** The target in EC2's words, for people. */
  readonly target: string;
  readonly state: string;
}

export interface RouteTableView {
  readonly id: string;
  readonly routes: readonly RouteView[];
}

export interface InterfaceView {
  readonly id: string;
  readonly instance: string | null;
  readonly primary: string;
  readonly secondary: readonly string[];
  readonly sourceDestCheck: boolean;
}

export interface Ec2 {
  routeTables(ids: readonly string[], access: Access, limits: CallLimits): Promise<readonly RouteTableView[]>;
  replaceRoute(route: Route, eni: string, access: Access, limits: CallLimits): Promise<void>;
  createRoute(route: Route, eni: string, access: Access, limits: CallLimits): Promise<void>;
  deleteRoute(route: Route, access: Access, limits: CallLimits): Promise<void>;
  interface(id: string, access: Access, limits: CallLimits): Promise<InterfaceView>;
  /** The interface that has the private address, primary or secondary. */
  interfaceWith(address: string, access: Access, limits: CallLimits): Promise<InterfaceView | null>;
  setSourceDestCheck(eni: string, on: boolean, access: Access, limits: CallLimits): Promise<void>;
  assignAddress(eni: string, address: string, access: Access, limits: CallLimits): Promise<void>;
  unassignAddress(eni: string, address: string, access: Access, limits: CallLimits): Promise<void>;
  /** Loads the SDK, gets credentials, opens the connection and asks whether these tables may be read; changes nothing. */
  warm(tables: readonly string[], access: Access, limits: CallLimits): Promise<void>;
}
export const Ec2: unique symbol = Symbol('aws.Ec2');

export type Client = InstanceType<Sdk['EC2Client']>;
type RouteTableAnswer = NonNullable<Awaited<ReturnType<typeof describeRouteTables>>['RouteTables']>[number];
type InterfaceAnswer = NonNullable<Awaited<ReturnType<typeof describeInterfaces>>['NetworkInterfaces']>[number];

const describeRouteTables = (client: Client, sdk: Sdk, RouteTableIds: string[], abortSignal: AbortSignal) =>
  client.send(new sdk.DescribeRouteTablesCommand({ RouteTableIds }), { abortSignal });
const describeInterfaces = (
  client: Client,
  sdk: Sdk,
  input: NonNullable<ConstructorParameters<Sdk['DescribeNetworkInterfacesCommand']>[0]>,
  abortSignal: AbortSignal,
) => client.send(new sdk.DescribeNetworkInterfacesCommand(input), { abortSignal });

export class AwsEc2 implements Ec2 {
  constructor(
    private readonly clients: Ec2Clients,
    private readonly clock: Clock,
  ) {}

  async routeTables(ids: readonly string[], access: Access, limits: CallLimits): Promise<readonly RouteTableView[]> {
    const { RouteTables = [] } = await this.call('DescribeRouteTables', access, limits, (client, sdk, signal) =>
      describeRouteTables(client, sdk, [...ids], signal),
    );
    return RouteTables.map(routeTableView);
  }

  async replaceRoute(route: Route, eni: string, access: Access, limits: CallLimits): Promise<void> {
    await this.call('ReplaceRoute', access, limits, (client, sdk, abortSignal) =>
      client.send(new sdk.ReplaceRouteCommand({ ...routeInput(route), NetworkInterfaceId: eni }), { abortSignal }),
    );
  }

  async createRoute(route: Route, eni: string, access: Access, limits: CallLimits): Promise<void> {
    await this.call('CreateRoute', access, limits, (client, sdk, abortSignal) =>
      client.send(new sdk.CreateRouteCommand({ ...routeInput(route), NetworkInterfaceId: eni }), { abortSignal }),
    );
  }

  async deleteRoute(route: Route, access: Access, limits: CallLimits): Promise<void> {
    await this.call('DeleteRoute', access, limits, (client, sdk, abortSignal) =>
      client.send(new sdk.DeleteRouteCommand(routeInput(route)), { abortSignal }),
    );
  }

  async interface(id: string, access: Access, limits: CallLimits): Promise<InterfaceView> {
    const { NetworkInterfaces: [found] = [] } = await this.call('DescribeNetworkInterfaces', access, limits, (client, sdk, signal) =>
      describeInterfaces(client, sdk, { NetworkInterfaceIds: [id] }, signal),
    );
    if (found === undefined)
      throw new Ec2Failure(
        'absent',
        'DescribeNetworkInterfaces',
        'InvalidNetworkInterfaceID.NotFound',
        `${id} was not in the answer`,
        false,
      );
    return interfaceView(found);
  }

  async interfaceWith(address: string, access: Access, limits: CallLimits): Promise<InterfaceView | null> {
    const Filters = [{ Name: 'addresses.private-ip-address', Values: [address] }];
    const { NetworkInterfaces: [found] = [] } = await this.call('DescribeNetworkInterfaces', access, limits, (client, sdk, signal) =>
      describeInterfaces(client, sdk, { Filters }, signal),
    );
    return found === undefined ? null : interfaceView(found);
  }

  async setSourceDestCheck(eni: string, on: boolean, access: Access, limits: CallLimits): Promise<void> {
    await this.call('ModifyNetworkInterfaceAttribute', access, limits, (client, sdk, abortSignal) =>
      client.send(new sdk.ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: eni, SourceDestCheck: { Value: on } }), {
        abortSignal,
      }),
    );
  }

  async assignAddress(eni: string, address: string, access: Access, limits: CallLimits): Promise<void> {
    await this.call('AssignPrivateIpAddresses', access, limits, (client, sdk, abortSignal) =>
      client.send(
        new sdk.AssignPrivateIpAddressesCommand({ NetworkInterfaceId: eni, PrivateIpAddresses: [address], AllowReassignment: true }),
        { abortSignal },
      ),
    );
  }

  async unassignAddress(eni: string, address: string, access: Access, limits: CallLimits): Promise<void> {
    await this.call('UnassignPrivateIpAddresses', access, limits, (client, sdk, abortSignal) =>
      client.send(new sdk.UnassignPrivateIpAddressesCommand({ NetworkInterfaceId: eni, PrivateIpAddresses: [address] }), { abortSignal }),
    );
  }

  async warm(tables: readonly string[], access: Access, limits: CallLimits): Promise<void> {
    try {
      await this.call('DescribeRouteTables', access, limits, (client, sdk, abortSignal) =>
        client.send(new sdk.DescribeRouteTablesCommand({ RouteTableIds: [...tables], DryRun: true }), { abortSignal }),
      );
    } catch (thrown) {
      // The good answer to a dry run is this error.
      if (!(thrown instanceof Ec2Failure) || thrown.code !== 'DryRunOperation') throw thrown;
    }
  }

  /** One call, ended at its time even where the SDK waits without listening to the signal (credentials). */
  async call<Answer>(
    action: string,
    access: Access,
    { signal, timeoutMs }: CallLimits,
    send: (client: Client, sdk: Sdk, signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const late = new AbortController();
    const timer = this.clock.after(timeoutMs, () => late.abort(timedOut(timeoutMs)), { idle: true });
    const stop = AbortSignal.any([signal, late.signal]);
    let sent = false;
    try {
      stop.throwIfAborted();
      const answer = this.clients.of(access, stop).then(({ client, sdk }) => {
        stop.throwIfAborted();
        sent = true;
        return send(client, sdk, stop);
      });
      return await untilAborted(answer, stop);
    } catch (thrown) {
      const failure = failureOf(action, stop.aborted ? stop.reason : thrown);
      if (sent || !failure.mayHaveHappened) throw failure;
      throw new Ec2Failure(thrown instanceof UnderstudyError ? 'credentials' : failure.kind, action, failure.code, 'not sent', false, {
        cause: thrown,
      });
    } finally {
      timer.cancel();
    }
  }
}

const timedOut = (timeoutMs: number): Error =>
  Object.assign(new Error(`no answer within ${Math.round(timeoutMs)} ms`), { name: 'TimeoutError' });

const untilAborted = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });

const routeInput = ({ table, destination }: Route) => ({
  RouteTableId: table,
  ...(destination.includes(':') ? { DestinationIpv6CidrBlock: destination } : { DestinationCidrBlock: destination }),
});

const routeTableView = ({ RouteTableId, Routes = [] }: RouteTableAnswer): RouteTableView => ({
  id: RouteTableId ?? '',
  routes: Routes.map((route) => ({
    destination: route.DestinationIpv6CidrBlock ?? route.DestinationCidrBlock ?? route.DestinationPrefixListId ?? '',
    interface: route.NetworkInterfaceId ?? null,
    target:
      route.NetworkInterfaceId ??
      route.GatewayId ??
      route.NatGatewayId ??
      route.TransitGatewayId ??
      route.VpcPeeringConnectionId ??
      'another target',
    state: route.State ?? 'unknown',
  })),
});

const interfaceView = ({
  NetworkInterfaceId,
  Attachment,
  PrivateIpAddress,
  PrivateIpAddresses = [],
  SourceDestCheck,
}: InterfaceAnswer): InterfaceView => ({
  id: NetworkInterfaceId ?? '',
  instance: Attachment?.InstanceId ?? null,
  primary: PrivateIpAddress ?? '',
  secondary: PrivateIpAddresses.flatMap((one) =>
    one.Primary === true || one.PrivateIpAddress === undefined ? [] : [one.PrivateIpAddress],
  ),
  sourceDestCheck: SourceDestCheck ?? true,
});
