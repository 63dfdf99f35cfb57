// The API's actions over the VPC value: one table, one row each. Pure: parameters and state in, next state and answer out.
// `start` in a result asks the server to finish what takes time (an instance that stops or starts).
import { assignIpv6, assignPrivate, associate, disassociate, unassignIpv6, unassignPrivate } from './addresses.js';
import { ApiError, invalid, missing } from './errors.js';
import { refuseSkip, startInstance, stopInstance, type Transition } from './instances.js';
import type { Query } from './query.js';
import { createRoute, deleteRoute, replaceRoute, type AskedTarget } from './routes.js';
import {
  elasticFilters,
  elasticView,
  filtered,
  instanceFilters,
  instanceView,
  interfaceFilters,
  interfaceView,
  items,
  networkFilters,
  networkView,
  routeTableFilters,
  routeTableView,
  securityGroupFilters,
  securityGroupView,
  stateView,
  statusView,
  subnetFilters,
  subnetView,
  type View,
} from './views.js';
import {
  instanceOf,
  interfaceOf,
  onlyInterfaceOf,
  routeTableOf,
  securityGroupOf,
  setGroups,
  setSourceDestCheck,
  subnetOf,
  withTags,
  type Tags,
  type Vpc,
} from './vpc.js';

export interface Outcome {
  readonly vpc: Vpc;
  readonly answer: View;
  /** Instances put under way, and whether their operating system is given time to shut down. */
  readonly transitions?: readonly (Transition & { readonly graceful: boolean })[];
}

export interface Action {
  /** Reads may be answered with an old state; writes never are. */
  readonly kind: 'read' | 'write';
  run(vpc: Vpc, query: Query): Outcome;
}

const TRUE: View = { return: true };
const read = (run: (vpc: Vpc, query: Query) => View): Action => ({ kind: 'read', run: (vpc, query) => ({ vpc, answer: run(vpc, query) }) });
const write = (run: (vpc: Vpc, query: Query) => Vpc, answer: (vpc: Vpc, query: Query) => View = () => TRUE): Action => ({
  kind: 'write',
  run: (vpc, query) => {
    const next = run(vpc, query);
    return { vpc: next, answer: answer(next, query) };
  },
});

/** One Describe: the entries asked for by id or filter, page by page. */
const describe = <T extends { readonly tags: Tags }>(shape: {
  readonly set: string;
  readonly ids: string;
  readonly all: (vpc: Vpc) => Readonly<Record<string, T>>;
  readonly byId: (vpc: Vpc, id: string) => T;
  readonly filters: Parameters<typeof filtered<T>>[2];
  readonly view: (entry: T, vpc: Vpc) => View;
  readonly pages?: { readonly min: number; readonly max: number };
}): Action =>
  read((vpc, query) => {
    const ids = query.list(shape.ids);
    const named = ids.length === 0 ? Object.values(shape.all(vpc)) : ids.map((id) => shape.byId(vpc, id));
    const found = filtered(named, query.filters(), shape.filters, vpc);
    const { page, nextToken } = paged(found, query, shape.pages);
    return { [shape.set]: items(page.map((entry) => shape.view(entry, vpc))), ...(nextToken !== undefined && { nextToken }) };
  });

const paged = <T>(
  entries: readonly T[],
  query: Query,
  limits?: { readonly min: number; readonly max: number },
): { page: readonly T[]; nextToken?: string } => {
  const size = query.number('MaxResults');
  const token = query.text('NextToken');
  if (limits === undefined || (size === undefined && token === undefined)) return { page: entries };
  if (size !== undefined && (size < limits.min || size > limits.max)) {
    throw invalid(`Value ( ${size} ) for parameter maxResults is invalid. Expecting a value between ${limits.min} and ${limits.max}.`);
  }
  const from = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString());
  if (!Number.isInteger(from) || from < 0) throw invalid(`Value ( ${token ?? ''} ) for parameter nextToken is invalid.`);
  const until = from + (size ?? limits.max);
  return {
    page: entries.slice(from, until),
    ...(until < entries.length && { nextToken: Buffer.from(String(until)).toString('base64url') }),
  };
};

const askedTarget = (query: Query): AskedTarget => ({
  interface: query.text('NetworkInterfaceId'),
  instance: query.text('InstanceId'),
  gateway: query.text('GatewayId') ?? (query.flag('LocalTarget') ? 'local' : undefined),
});
const destination = (query: Query): string => query.text('DestinationIpv6CidrBlock') ?? query.need('DestinationCidrBlock');

const instancesUnderWay = (change: typeof stopInstance, graceful: (query: Query) => boolean): Action => ({
  kind: 'write',
  run: (before, query) => {
    const ids = query.list('InstanceId');
    if (ids.length === 0) throw missing('InstanceId');
    if (query.flag('SkipOsShutdown')) for (const id of ids) refuseSkip(before, id);
    let vpc = before;
    const transitions = ids.map((id) => {
      const step = change(vpc, id);
      vpc = step.vpc;
      return { ...step.transition, graceful: graceful(query) };
    });
    const changed = transitions.map(({ instance, previous }) => ({
      instanceId: instance,
      currentState: stateView(instanceOf(vpc, instance).state),
      previousState: stateView(previous),
    }));
    return { vpc, answer: { instancesSet: items(changed) }, transitions };
  },
});

const sourceDestCheckOf = (query: Query): boolean => {
  if (query.text('SourceDestCheck.Value') === undefined) throw new ApiError('InvalidParameterCombination', 'No attributes specified.');
  return query.flag('SourceDestCheck.Value');
};

export const ACTIONS: Readonly<Record<string, Action>> = {
  DescribeVpcs: describe({
    set: 'vpcSet',
    ids: 'VpcId',
    all: ({ networks }) => networks,
    filters: networkFilters,
    view: networkView,
    pages: { min: 5, max: 1000 },
    byId: ({ networks }, id) => {
      const network = networks[id];
      if (network === undefined) throw new ApiError('InvalidVpcID.NotFound', `The vpc ID '${id}' does not exist`);
      return network;
    },
  }),
  DescribeSubnets: describe({
    set: 'subnetSet',
    ids: 'SubnetId',
    all: ({ subnets }) => subnets,
    byId: subnetOf,
    filters: subnetFilters,
    view: subnetView,
    pages: { min: 5, max: 1000 },
  }),
  DescribeRouteTables: describe({
    set: 'routeTableSet',
    ids: 'RouteTableId',
    all: ({ routeTables }) => routeTables,
    byId: routeTableOf,
    filters: routeTableFilters,
    view: routeTableView,
    pages: { min: 5, max: 100 },
  }),
  DescribeNetworkInterfaces: describe({
    set: 'networkInterfaceSet',
    ids: 'NetworkInterfaceId',
    all: ({ interfaces }) => interfaces,
    byId: interfaceOf,
    filters: interfaceFilters,
    view: interfaceView,
    pages: { min: 5, max: 1000 },
  }),
  DescribeAddresses: read((vpc, query) => {
    const ids = query.list('AllocationId');
    const publicIps = query.list('PublicIp');
    const all = Object.values(vpc.elastic);
    for (const id of ids)
      if (vpc.elastic[id] === undefined) throw new ApiError('InvalidAllocationID.NotFound', `The allocation ID '${id}' does not exist`);
    for (const ip of publicIps)
      if (!all.some(({ publicIp }) => publicIp === ip)) throw new ApiError('InvalidAddress.NotFound', `Address '${ip}' not found.`);
    const named = all.filter(
      ({ id, publicIp }) => (ids.length === 0 || ids.includes(id)) && (publicIps.length === 0 || publicIps.includes(publicIp)),
    );
    return { addressesSet: items(filtered(named, query.filters(), elasticFilters, vpc).map((address) => elasticView(address, vpc))) };
  }),
  DescribeInstances: read((vpc, query) => {
    const ids = query.list('InstanceId');
    if (ids.length > 0 && query.text('MaxResults') !== undefined) {
      throw new ApiError('InvalidParameterCombination', 'The parameter instancesSet cannot be used with the parameter maxResults');
    }
    const named = ids.length === 0 ? Object.values(vpc.instances) : ids.map((id) => instanceOf(vpc, id));
    const { page, nextToken } = paged(filtered(named, query.filters(), instanceFilters, vpc), query, { min: 5, max: 1000 });
    const reservations = page.map((instance) => ({
      reservationId: `r-${instance.id.replace(/^i-/, '')}`,
      ownerId: vpc.account,
      groupSet: {},
      instancesSet: items([instanceView(instance, vpc)]),
    }));
    return { reservationSet: items(reservations), ...(nextToken !== undefined && { nextToken }) };
  }),
  DescribeInstanceStatus: read((vpc, query) => {
    const ids = query.list('InstanceId');
    const named = ids.length === 0 ? Object.values(vpc.instances) : ids.map((id) => instanceOf(vpc, id));
    const shown = query.flag('IncludeAllInstances') ? named : named.filter(({ state }) => state === 'running');
    return { instanceStatusSet: items(shown.map(statusView)) };
  }),
  CreateRoute: write((vpc, query) => createRoute(vpc, query.need('RouteTableId'), destination(query), askedTarget(query))),
  ReplaceRoute: write((vpc, query) => replaceRoute(vpc, query.need('RouteTableId'), destination(query), askedTarget(query))),
  DeleteRoute: write((vpc, query) => deleteRoute(vpc, query.need('RouteTableId'), destination(query))),
  AssignPrivateIpAddresses: write(
    (vpc, query) =>
      assignPrivate(vpc, query.need('NetworkInterfaceId'), someOf(query, 'PrivateIpAddress'), query.flag('AllowReassignment')),
    (_vpc, query) => ({
      networkInterfaceId: query.need('NetworkInterfaceId'),
      assignedPrivateIpAddressesSet: items(query.list('PrivateIpAddress').map((privateIpAddress) => ({ privateIpAddress }))),
      return: true,
    }),
  ),
  UnassignPrivateIpAddresses: write((vpc, query) =>
    unassignPrivate(vpc, query.need('NetworkInterfaceId'), someOf(query, 'PrivateIpAddress')),
  ),
  AssignIpv6Addresses: write(
    (vpc, query) => assignIpv6(vpc, query.need('NetworkInterfaceId'), someOf(query, 'Ipv6Addresses')),
    (_vpc, query) => ({ networkInterfaceId: query.need('NetworkInterfaceId'), assignedIpv6Addresses: items(query.list('Ipv6Addresses')) }),
  ),
  UnassignIpv6Addresses: write(
    (vpc, query) => unassignIpv6(vpc, query.need('NetworkInterfaceId'), someOf(query, 'Ipv6Addresses')),
    (_vpc, query) => ({
      networkInterfaceId: query.need('NetworkInterfaceId'),
      unassignedIpv6Addresses: items(query.list('Ipv6Addresses')),
    }),
  ),
  DescribeSecurityGroups: describe({
    set: 'securityGroupInfo',
    ids: 'GroupId',
    all: ({ securityGroups }) => securityGroups,
    byId: securityGroupOf,
    filters: securityGroupFilters,
    view: securityGroupView,
    pages: { min: 5, max: 1000 },
  }),
  ModifyNetworkInterfaceAttribute: write((vpc, query) => {
    const eni = query.need('NetworkInterfaceId');
    const groups = query.list('SecurityGroupId');
    return groups.length > 0 ? setGroups(vpc, eni, groups) : setSourceDestCheck(vpc, eni, sourceDestCheckOf(query));
  }),
  ModifyInstanceAttribute: write((vpc, query) =>
    setSourceDestCheck(vpc, onlyInterfaceOf(vpc, query.need('InstanceId')).id, sourceDestCheckOf(query)),
  ),
  StopInstances: instancesUnderWay(stopInstance, (query) => !query.flag('SkipOsShutdown')),
  StartInstances: instancesUnderWay(startInstance, () => true),
  AssociateAddress: {
    kind: 'write',
    run: (before, query) => {
      const { vpc, id } = associate(before, {
        allocation: query.text('AllocationId'),
        publicIp: query.text('PublicIp'),
        interface: query.text('NetworkInterfaceId'),
        instance: query.text('InstanceId'),
        privateIp: query.text('PrivateIpAddress'),
        // In a VPC reassociation is allowed unless it is said not to be (API reference, AssociateAddress).
        allowReassociation: query.text('AllowReassociation') === undefined || query.flag('AllowReassociation'),
      });
      return { vpc, answer: { return: true, associationId: id } };
    },
  },
  DisassociateAddress: write((vpc, query) => disassociate(vpc, query.need('AssociationId'))),
  CreateTags: write((vpc, query) => someOf(query, 'ResourceId').reduce((state, id) => withTags(state, id, query.tags()), vpc)),
};

const someOf = (query: Query, name: string): readonly string[] => {
  const values = query.list(name);
  if (values.length === 0) throw missing(name);
  return values;
};
