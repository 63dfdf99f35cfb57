// A small VPC as a value: instances, network interfaces, subnets, route tables, elastic addresses. Pure: every change is a
// function from one state to the next, so that old states can be kept and shown again (stale reads). Names and rules are
// EC2's. No clock, no sockets; what takes time (an instance stopping) is two changes made by the server.
import { BlockList, isIPv6 } from 'node:net';
import { ApiError } from './errors.js';

export type Tags = Readonly<Record<string, string>>;
type Table<T> = Readonly<Record<string, T>>;

export interface Network {
  readonly id: string;
  readonly cidr: string;
  readonly ipv6Cidr: string | null;
  readonly tags: Tags;
}

export interface Subnet extends Network {
  readonly vpc: string;
  readonly zone: string;
}

export type InstanceState = 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated';

export interface Instance {
  readonly id: string;
  readonly state: InstanceState;
  readonly zone: string;
  readonly type: string;
  /** Whether its operating system answers: an instance whose power was cut from inside stays `running` in EC2's eyes. */
  readonly reachable: boolean;
  readonly tags: Tags;
}

/** A network interface (ENI). */
export interface Interface {
  readonly id: string;
  readonly subnet: string;
  readonly mac: string;
  readonly instance: string | null;
  readonly deviceIndex: number;
  readonly primary: string;
  readonly secondary: readonly string[];
  readonly ipv6: readonly string[];
  readonly sourceDestCheck: boolean;
  /** Ids of its security groups. */
  readonly groups: readonly string[];
  readonly tags: Tags;
}

/** Its rules as sources and destinations; an empty list lets nothing through. */
export interface SecurityGroup {
  readonly id: string;
  readonly vpc: string;
  readonly name: string;
  readonly inbound: readonly string[];
  readonly outbound: readonly string[];
  readonly tags: Tags;
}

export type RouteTarget =
  | { readonly kind: 'local' }
  | { readonly kind: 'interface'; readonly id: string }
  | { readonly kind: 'gateway'; readonly id: string };

export interface Route {
  readonly destination: string;
  readonly target: RouteTarget;
  /** EC2's `origin`: made with the table, or by CreateRoute. */
  readonly origin: 'CreateRouteTable' | 'CreateRoute';
}

export interface RouteTable {
  readonly id: string;
  readonly vpc: string;
  readonly routes: readonly Route[];
  readonly subnets: readonly string[];
  readonly tags: Tags;
}

export interface ElasticAddress {
  readonly id: string;
  readonly publicIp: string;
  readonly association: { readonly id: string; readonly interface: string; readonly privateIp: string } | null;
  readonly tags: Tags;
}

export interface Vpc {
  readonly region: string;
  readonly account: string;
  readonly networks: Table<Network>;
  readonly subnets: Table<Subnet>;
  readonly instances: Table<Instance>;
  readonly interfaces: Table<Interface>;
  readonly routeTables: Table<RouteTable>;
  readonly elastic: Table<ElasticAddress>;
  readonly securityGroups: Table<SecurityGroup>;
  /** Grows with every association made, for its id. */
  readonly associations: number;
}

/** The entry with this id, or the error EC2 answers for an unknown one. */
export const instanceOf = (vpc: Vpc, id: string): Instance =>
  found(vpc.instances[id], 'InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`);
export const interfaceOf = (vpc: Vpc, id: string): Interface =>
  found(vpc.interfaces[id], 'InvalidNetworkInterfaceID.NotFound', `The networkInterface ID '${id}' does not exist`);
export const routeTableOf = (vpc: Vpc, id: string): RouteTable =>
  found(vpc.routeTables[id], 'InvalidRouteTableID.NotFound', `The routeTable ID '${id}' does not exist`);
export const subnetOf = (vpc: Vpc, id: string): Subnet =>
  found(vpc.subnets[id], 'InvalidSubnetID.NotFound', `The subnet ID '${id}' does not exist`);

export const securityGroupOf = (vpc: Vpc, id: string): SecurityGroup =>
  found(vpc.securityGroups[id], 'InvalidGroup.NotFound', `The security group '${id}' does not exist`);

export const interfacesOf = (vpc: Vpc, instance: string): readonly Interface[] =>
  Object.values(vpc.interfaces)
    .filter((eni) => eni.instance === instance)
    .toSorted((a, b) => a.deviceIndex - b.deviceIndex);

/** The one interface of an instance; EC2 refuses to guess among several. */
export const onlyInterfaceOf = (vpc: Vpc, instance: string): Interface => {
  instanceOf(vpc, instance);
  const [eni, second] = interfacesOf(vpc, instance);
  if (eni === undefined) throw new ApiError('InvalidInstanceID', `There are no interfaces attached to instance '${instance}'`);
  if (second !== undefined) {
    throw new ApiError(
      'InvalidInstanceID',
      `There are multiple interfaces attached to instance '${instance}'. Please specify an interface ID for the operation instead.`,
    );
  }
  return eni;
};

export const withInterface = (vpc: Vpc, eni: Interface): Vpc => ({ ...vpc, interfaces: { ...vpc.interfaces, [eni.id]: eni } });
export const withInstance = (vpc: Vpc, instance: Instance): Vpc => ({ ...vpc, instances: { ...vpc.instances, [instance.id]: instance } });
export const withRouteTable = (vpc: Vpc, routeTable: RouteTable): Vpc => ({
  ...vpc,
  routeTables: { ...vpc.routeTables, [routeTable.id]: routeTable },
});

/** Adds tags to whatever bears the id. */
export const withTags = (vpc: Vpc, id: string, tags: Tags): Vpc => {
  for (const kind of ['networks', 'subnets', 'instances', 'interfaces', 'routeTables', 'elastic', 'securityGroups'] as const) {
    const entry = vpc[kind][id];
    if (entry !== undefined) return { ...vpc, [kind]: { ...vpc[kind], [id]: { ...entry, tags: { ...entry.tags, ...tags } } } };
  }
  throw new ApiError('InvalidID', `The ID '${id}' is not valid`);
};

export const setSourceDestCheck = (vpc: Vpc, eni: string, on: boolean): Vpc =>
  withInterface(vpc, { ...interfaceOf(vpc, eni), sourceDestCheck: on });

export const setGroups = (vpc: Vpc, eni: string, groups: readonly string[]): Vpc => {
  const found = interfaceOf(vpc, eni);
  const network = subnetOf(vpc, found.subnet).vpc;
  for (const id of groups)
    if (securityGroupOf(vpc, id).vpc !== network)
      throw new ApiError('InvalidGroup.NotFound', `The security group '${id}' does not exist in VPC '${network}'`);
  return withInterface(vpc, { ...found, groups: [...groups] });
};

/** Whether the address lies in the block. */
export const contains = (cidr: string, address: string): boolean => {
  const [network = '', prefix = ''] = cidr.split('/');
  if (isIPv6(network) !== isIPv6(address)) return false;
  const family = isIPv6(network) ? 'ipv6' : 'ipv4';
  const block = new BlockList();
  block.addSubnet(network, Number(prefix), family);
  return block.check(address, family);
};

const found = <T>(entry: T | undefined, code: string, message: string): T => {
  if (entry === undefined) throw new ApiError(code, message);
  return entry;
};
