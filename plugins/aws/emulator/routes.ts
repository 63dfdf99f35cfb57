// Routes of the emulated VPC: create, replace, delete, and the question every route answers: where do packets for an
// address go now? Pure. ReplaceRoute has no compare-and-swap, here as there: the last writer wins.
import { isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { canonicalAddress } from 'understudy/plugin';
import { ApiError, invalid } from './errors.js';
import {
  contains,
  interfaceOf,
  onlyInterfaceOf,
  routeTableOf,
  withRouteTable,
  type Interface,
  type Route,
  type RouteTarget,
  type Vpc,
} from './vpc.js';

/** Where packets for an address end, and why nowhere when nowhere. */
export interface Destination {
  readonly interface: string | null;
  readonly instance: string | null;
  readonly because: string;
}

/** What a request names as the new target: exactly one of these. */
export interface AskedTarget {
  readonly interface?: string | undefined;
  readonly instance?: string | undefined;
  readonly gateway?: string | undefined;
}

/** The block in EC2's own spelling: lower case, shortest IPv6. */
export const normalCidr = (cidr: string): string => {
  const [address = '', prefix] = cidr.split('/');
  const length = Number(prefix);
  const six = isIPv6(address);
  if (prefix === undefined || !/^\d+$/.test(prefix) || length > (six ? 128 : 32) || (!six && !/^\d+(\.\d+){3}$/.test(address))) {
    throw invalid(`Value (${cidr}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.`);
  }
  return six ? `${normalAddress(address)}/${length}` : cidr;
};

export const normalAddress = (address: string): string => canonicalAddress(address) ?? address;

/** The same route once more is no error; one with another target is. */
export const createRoute = (vpc: Vpc, table: string, destination: string, asked: AskedTarget): Vpc => {
  const { routes, ...rest } = routeTableOf(vpc, table);
  const cidr = normalCidr(destination);
  const route: Route = { destination: cidr, target: targetFrom(vpc, asked), origin: 'CreateRoute' };
  const there = routes.find((one) => one.destination === cidr);
  if (there !== undefined && isDeepStrictEqual(there.target, route.target)) return vpc;
  if (there !== undefined) throw new ApiError('RouteAlreadyExists', `The route identified by ${cidr} already exists.`);
  return withRouteTable(vpc, { ...rest, routes: [...routes, route] });
};

export const replaceRoute = (vpc: Vpc, table: string, destination: string, asked: AskedTarget): Vpc => {
  const { routes, ...rest } = routeTableOf(vpc, table);
  const old = routes.find((route) => route.destination === normalCidr(destination));
  // Not InvalidRoute.NotFound: EC2 answers that to DeleteRoute only.
  if (old === undefined)
    throw invalid(`There is no route defined for '${normalCidr(destination)}' in the route table. Use CreateRoute instead.`);
  const target = targetFrom(vpc, asked);
  return withRouteTable(vpc, { ...rest, routes: routes.map((route) => (route === old ? { ...route, target } : route)) });
};

export const deleteRoute = (vpc: Vpc, table: string, destination: string): Vpc => {
  const { routes, ...rest } = routeTableOf(vpc, table);
  const cidr = normalCidr(destination);
  const old = routes.find((route) => route.destination === cidr);
  if (old === undefined)
    throw new ApiError('InvalidRoute.NotFound', `no route with destination-cidr-block ${cidr} in route table ${table}`);
  if (old.target.kind === 'local') throw invalid(`cannot remove local route ${old.destination} in route table ${table}`);
  return withRouteTable(vpc, { ...rest, routes: routes.filter((route) => route !== old) });
};

/** EC2 shows a route as `blackhole` while its interface is gone, not attached, or its instance does not run. */
export const routeState = (vpc: Vpc, { target }: Route): 'active' | 'blackhole' => {
  if (target.kind !== 'interface') return 'active';
  const instance = vpc.instances[vpc.interfaces[target.id]?.instance ?? ''];
  return instance === undefined || instance.state === 'stopped' || instance.state === 'terminated' ? 'blackhole' : 'active';
};

/** Where a packet for `address` goes that is routed by this table: the longest match, then what stands at its end. */
export const destinationOf = (vpc: Vpc, table: string, address: string): Destination => {
  const matching = (vpc.routeTables[table]?.routes ?? []).filter((route) => contains(route.destination, address));
  const [route] = matching.toSorted((a, b) => Number(b.destination.split('/')[1]) - Number(a.destination.split('/')[1]));
  if (route === undefined) return nowhere(`no route of ${table} matches ${address}`);
  if (route.target.kind === 'gateway') return nowhere(`${route.destination} of ${table} goes to ${route.target.id}`);
  const eni = route.target.kind === 'local' ? ownerOf(vpc, address) : vpc.interfaces[route.target.id];
  if (eni === undefined) return nowhere(route.target.kind === 'local' ? `no interface has ${address}` : `${route.target.id} is gone`);
  return arrival(vpc, eni, address);
};

/** The interface that EC2 assigned the address to. */
export const ownerOf = (vpc: Vpc, address: string): Interface | undefined =>
  Object.values(vpc.interfaces).find((eni) => owns(eni, address));

const owns = (eni: Interface, address: string): boolean =>
  eni.primary === address || eni.secondary.includes(address) || eni.ipv6.includes(normalAddress(address));

const arrival = (vpc: Vpc, eni: Interface, address: string): Destination => {
  const instance = vpc.instances[eni.instance ?? ''];
  if (instance === undefined) return nowhere(`${eni.id} is not attached`);
  if (instance.state !== 'running') return nowhere(`${instance.id} is ${instance.state}`);
  if (eni.sourceDestCheck && !owns(eni, address)) return nowhere(`${eni.id} has the source/destination check on`);
  return { interface: eni.id, instance: instance.id, because: `${eni.id} of ${instance.id}` };
};

const nowhere = (because: string): Destination => ({ interface: null, instance: null, because });

const targetFrom = (vpc: Vpc, asked: AskedTarget): RouteTarget => {
  const named = [asked.interface, asked.instance, asked.gateway].filter((id) => id !== undefined);
  if (named.length !== 1) {
    throw new ApiError(
      named.length === 0 ? 'MissingParameter' : 'InvalidParameterCombination',
      'The request must contain exactly one of gatewayId, instanceId, networkInterfaceId',
    );
  }
  if (asked.gateway !== undefined) return asked.gateway === 'local' ? { kind: 'local' } : { kind: 'gateway', id: asked.gateway };
  const eni = asked.interface !== undefined ? interfaceOf(vpc, asked.interface) : onlyInterfaceOf(vpc, asked.instance ?? '');
  return { kind: 'interface', id: eni.id };
};
