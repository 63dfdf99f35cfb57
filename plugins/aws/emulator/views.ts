// How the VPC looks from outside: each entry as the API shows it, and the filters by which it can be asked for. Pure. The
// member names are the API's own (API reference, version 2016-11-15); a list is `{ item: [...] }`, as its XML has it.
import { invalid } from './errors.js';
import { isXen, STATE_CODES } from './instances.js';
import type { Filter } from './query.js';
import { routeState } from './routes.js';
import {
  interfacesOf,
  type ElasticAddress,
  type Instance,
  type Interface,
  type Network,
  type Route,
  type RouteTable,
  type SecurityGroup,
  type Subnet,
  type Tags,
  type Vpc,
} from './vpc.js';

export type View = { readonly [name: string]: unknown };
type FilterTable<T> = Readonly<Record<string, (entry: T, vpc: Vpc) => readonly (string | null | undefined)[]>>;

export const items = (entries: readonly unknown[]): View => (entries.length === 0 ? {} : { item: entries });

/** Those entries that every filter lets through; `*` and `?` in a value stand for anything. */
export const filtered = <T extends { readonly tags: Tags }>(
  entries: readonly T[],
  filters: readonly Filter[],
  known: FilterTable<T>,
  vpc: Vpc,
): readonly T[] =>
  filters.reduce((left, { name, values }) => {
    const patterns = values.map(pattern);
    const ask = valuesOf(name, known);
    return left.filter((entry) => ask(entry, vpc).some((value) => value != null && patterns.some((one) => one.test(value))));
  }, entries);

const valuesOf = <T extends { readonly tags: Tags }>(name: string, known: FilterTable<T>): FilterTable<T>[string] => {
  if (name.startsWith('tag:')) return ({ tags }) => [tags[name.slice(4)]];
  if (name === 'tag-key') return ({ tags }) => Object.keys(tags);
  const ask = known[name];
  if (ask === undefined) throw invalid(`The filter '${name}' is invalid`);
  return ask;
};

const pattern = (value: string): RegExp =>
  new RegExp(
    `^${value
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );

const tagSet = (tags: Tags): View => items(Object.entries(tags).map(([key, value]) => ({ key, value })));
const publicIpOf = (vpc: Vpc, eni: Interface, address: string): ElasticAddress | undefined =>
  Object.values(vpc.elastic).find(({ association }) => association?.interface === eni.id && association.privateIp === address);

export const routeTableView = (table: RouteTable, vpc: Vpc): View => ({
  routeTableId: table.id,
  vpcId: table.vpc,
  ownerId: vpc.account,
  routeSet: items(table.routes.map((route) => routeView(route, vpc))),
  associationSet: items(
    table.subnets.map((subnet) => ({
      routeTableAssociationId: `rtbassoc-${subnet.replace(/^subnet-/, '')}`,
      routeTableId: table.id,
      subnetId: subnet,
      main: false,
      associationState: { state: 'associated' },
    })),
  ),
  propagatingVgwSet: {},
  tagSet: tagSet(table.tags),
});

const routeView = (route: Route, vpc: Vpc): View => ({
  [route.destination.includes(':') ? 'destinationIpv6CidrBlock' : 'destinationCidrBlock']: route.destination,
  ...targetView(route, vpc),
  state: routeState(vpc, route),
  origin: route.origin,
});

const targetView = ({ target }: Route, vpc: Vpc): View => {
  if (target.kind === 'local') return { gatewayId: 'local' };
  if (target.kind === 'gateway') return { gatewayId: target.id };
  const instance = vpc.interfaces[target.id]?.instance;
  return { ...(instance == null ? {} : { instanceId: instance, instanceOwnerId: vpc.account }), networkInterfaceId: target.id };
};

export const routeTableFilters: FilterTable<RouteTable> = {
  'route-table-id': ({ id }) => [id],
  'vpc-id': ({ vpc }) => [vpc],
  'owner-id': (_table, vpc) => [vpc.account],
  'association.subnet-id': ({ subnets }) => subnets,
  'route.destination-cidr-block': ({ routes }) =>
    routes.map(({ destination }) => destination).filter((destination) => !destination.includes(':')),
  'route.destination-ipv6-cidr-block': ({ routes }) =>
    routes.map(({ destination }) => destination).filter((destination) => destination.includes(':')),
  'route.instance-id': ({ routes }, vpc) =>
    routes.map(({ target }) => (target.kind === 'interface' ? vpc.interfaces[target.id]?.instance : null)),
  'route.gateway-id': ({ routes }) =>
    routes.map(({ target }) => (target.kind === 'local' ? 'local' : target.kind === 'gateway' ? target.id : null)),
  'route.state': ({ routes }, vpc) => routes.map((route) => routeState(vpc, route)),
  'route.origin': ({ routes }) => routes.map(({ origin }) => origin),
};

export const interfaceView = (eni: Interface, vpc: Vpc): View => {
  const subnet = vpc.subnets[eni.subnet];
  return {
    networkInterfaceId: eni.id,
    subnetId: eni.subnet,
    vpcId: subnet?.vpc,
    availabilityZone: subnet?.zone,
    description: '',
    ownerId: vpc.account,
    requesterManaged: false,
    status: eni.instance === null ? 'available' : 'in-use',
    macAddress: eni.mac,
    privateIpAddress: eni.primary,
    sourceDestCheck: eni.sourceDestCheck,
    interfaceType: 'interface',
    groupSet: items(eni.groups.map((id) => ({ groupId: id, groupName: vpc.securityGroups[id]?.name ?? id }))),
    ...(eni.instance === null ? {} : { attachment: { ...attachmentView(eni), instanceId: eni.instance, instanceOwnerId: vpc.account } }),
    privateIpAddressesSet: addressesView(eni, vpc),
    ipv6AddressesSet: items(eni.ipv6.map((ipv6Address) => ({ ipv6Address }))),
    tagSet: tagSet(eni.tags),
  };
};

const attachmentView = (eni: Interface): View => ({
  attachmentId: `eni-attach-${eni.id.replace(/^eni-/, '')}`,
  deviceIndex: eni.deviceIndex,
  status: 'attached',
  deleteOnTermination: eni.deviceIndex === 0,
});

const addressesView = (eni: Interface, vpc: Vpc): View =>
  items(
    [eni.primary, ...eni.secondary].map((address) => {
      const elastic = publicIpOf(vpc, eni, address);
      const association = elastic && {
        publicIp: elastic.publicIp,
        ipOwnerId: vpc.account,
        allocationId: elastic.id,
        associationId: elastic.association?.id,
      };
      return { privateIpAddress: address, primary: address === eni.primary, ...(association && { association }) };
    }),
  );

export const interfaceFilters: FilterTable<Interface> = {
  'network-interface-id': ({ id }) => [id],
  'subnet-id': ({ subnet }) => [subnet],
  'vpc-id': ({ subnet }, vpc) => [vpc.subnets[subnet]?.vpc],
  'availability-zone': ({ subnet }, vpc) => [vpc.subnets[subnet]?.zone],
  'mac-address': ({ mac }) => [mac],
  'private-ip-address': ({ primary }) => [primary],
  'addresses.private-ip-address': ({ primary, secondary }) => [primary, ...secondary],
  'addresses.primary': ({ secondary }) => (secondary.length > 0 ? ['true', 'false'] : ['true']),
  'ipv6-addresses.ipv6-address': ({ ipv6 }) => ipv6,
  'attachment.instance-id': ({ instance }) => [instance],
  'attachment.device-index': ({ deviceIndex }) => [String(deviceIndex)],
  'source-dest-check': ({ sourceDestCheck }) => [String(sourceDestCheck)],
  'group-id': ({ groups }) => groups,
  status: ({ instance }) => [instance === null ? 'available' : 'in-use'],
};

export const instanceView = (instance: Instance, vpc: Vpc): View => {
  const enis = interfacesOf(vpc, instance.id);
  const [first] = enis;
  return {
    instanceId: instance.id,
    imageId: 'ami-emulated',
    instanceState: stateView(instance.state),
    instanceType: instance.type,
    hypervisor: isXen(instance.type) ? 'xen' : 'nitro',
    placement: { availabilityZone: instance.zone, tenancy: 'default' },
    ...(first && {
      subnetId: first.subnet,
      vpcId: vpc.subnets[first.subnet]?.vpc,
      privateIpAddress: first.primary,
      sourceDestCheck: first.sourceDestCheck,
    }),
    ...(instance.state === 'stopped' && {
      stateReason: { code: 'Client.UserInitiatedShutdown', message: 'Client.UserInitiatedShutdown: User initiated shutdown' },
    }),
    networkInterfaceSet: items(enis.map((eni) => ({ ...interfaceView(eni, vpc), attachment: attachmentView(eni) }))),
    tagSet: tagSet(instance.tags),
  };
};

export const stateView = (state: Instance['state']): View => ({ code: STATE_CODES[state], name: state });

export const instanceFilters: FilterTable<Instance> = {
  'instance-id': ({ id }) => [id],
  'instance-state-name': ({ state }) => [state],
  'instance-state-code': ({ state }) => [String(STATE_CODES[state])],
  'availability-zone': ({ zone }) => [zone],
  'vpc-id': ({ id }, vpc) => interfacesOf(vpc, id).map(({ subnet }) => vpc.subnets[subnet]?.vpc),
  'subnet-id': ({ id }, vpc) => interfacesOf(vpc, id).map(({ subnet }) => subnet),
  'private-ip-address': ({ id }, vpc) => interfacesOf(vpc, id).map(({ primary }) => primary),
  'network-interface.network-interface-id': ({ id }, vpc) => interfacesOf(vpc, id).map((eni) => eni.id),
};

export const statusView = (instance: Instance): View => {
  const status = instance.reachable ? 'ok' : 'impaired';
  return {
    instanceId: instance.id,
    availabilityZone: instance.zone,
    instanceState: stateView(instance.state),
    systemStatus: { status: 'ok' },
    instanceStatus: { status },
  };
};

export const subnetView = (subnet: Subnet, vpc: Vpc): View => ({
  subnetId: subnet.id,
  subnetArn: `arn:aws:ec2:${vpc.region}:${vpc.account}:subnet/${subnet.id}`,
  state: 'available',
  vpcId: subnet.vpc,
  cidrBlock: subnet.cidr,
  ownerId: vpc.account,
  availabilityZone: subnet.zone,
  ipv6CidrBlockAssociationSet: ipv6Association(subnet),
  tagSet: tagSet(subnet.tags),
});

const ipv6Association = ({ id, ipv6Cidr }: Network): View =>
  items(
    ipv6Cidr === null ? [] : [{ associationId: `${id}-cidr-assoc`, ipv6CidrBlock: ipv6Cidr, ipv6CidrBlockState: { state: 'associated' } }],
  );

export const subnetFilters: FilterTable<Subnet> = {
  'subnet-id': ({ id }) => [id],
  'vpc-id': ({ vpc }) => [vpc],
  'availability-zone': ({ zone }) => [zone],
  'cidr-block': ({ cidr }) => [cidr],
  state: () => ['available'],
};

export const networkView = (network: Network, vpc: Vpc): View => ({
  vpcId: network.id,
  ownerId: vpc.account,
  state: 'available',
  cidrBlock: network.cidr,
  cidrBlockAssociationSet: items([
    { associationId: `${network.id}-cidr-assoc`, cidrBlock: network.cidr, cidrBlockState: { state: 'associated' } },
  ]),
  ipv6CidrBlockAssociationSet: ipv6Association(network),
  instanceTenancy: 'default',
  isDefault: false,
  tagSet: tagSet(network.tags),
});

export const networkFilters: FilterTable<Network> = {
  'vpc-id': ({ id }) => [id],
  cidr: ({ cidr }) => [cidr],
  'cidr-block-association.cidr-block': ({ cidr }) => [cidr],
  state: () => ['available'],
};

export const elasticView = (address: ElasticAddress, vpc: Vpc): View => {
  const eni = vpc.interfaces[address.association?.interface ?? ''];
  return {
    publicIp: address.publicIp,
    allocationId: address.id,
    domain: 'vpc',
    ...(address.association && {
      associationId: address.association.id,
      networkInterfaceId: address.association.interface,
      networkInterfaceOwnerId: vpc.account,
      privateIpAddress: address.association.privateIp,
      ...(eni?.instance != null && { instanceId: eni.instance }),
    }),
    tagSet: tagSet(address.tags),
  };
};

export const elasticFilters: FilterTable<ElasticAddress> = {
  'allocation-id': ({ id }) => [id],
  'public-ip': ({ publicIp }) => [publicIp],
  'association-id': ({ association }) => [association?.id],
  'network-interface-id': ({ association }) => [association?.interface],
  'private-ip-address': ({ association }) => [association?.privateIp],
  domain: () => ['vpc'],
};

export const securityGroupView = (group: SecurityGroup, vpc: Vpc): View => {
  const permissions = (blocks: readonly string[]) =>
    items(
      blocks.map((block) => ({
        ipProtocol: '-1',
        ...(block.includes(':') ? { ipv6Ranges: items([{ cidrIpv6: block }]) } : { ipRanges: items([{ cidrIp: block }]) }),
      })),
    );
  return {
    groupId: group.id,
    groupName: group.name,
    groupDescription: group.name,
    ownerId: vpc.account,
    vpcId: group.vpc,
    ipPermissions: permissions(group.inbound),
    ipPermissionsEgress: permissions(group.outbound),
    tagSet: tagSet(group.tags),
  };
};

export const securityGroupFilters: FilterTable<SecurityGroup> = {
  'group-id': ({ id }) => [id],
  'group-name': ({ name }) => [name],
  'vpc-id': ({ vpc }) => [vpc],
};
