// What the route tables say, judged against what is wanted. Pure: no call, no clock.
import { canonicalAddress } from 'understudy/plugin';
import type { Route, RouteTableView } from './ec2.js';

/** One address in one table: ours, or what stands there instead. */
export interface RouteFinding extends Route {
  readonly ours: boolean;
  /** What is wrong, naming the table; empty when ours. */
  readonly what: string;
}

/** EC2's spelling of a block: shortest lower-case IPv6. */
export const normalCidr = (cidr: string): string => {
  const [address = '', prefix = ''] = cidr.split('/');
  return `${canonicalAddress(address) ?? address}/${prefix}`;
};

/** Every wanted route, found or not. A table that was not in the answer has none of its routes. */
export const findingsOf = (wanted: readonly Route[], tables: readonly RouteTableView[], eni: string): readonly RouteFinding[] =>
  wanted.map(({ table, destination }) => {
    const view = tables.find(({ id }) => id === table);
    const route = view?.routes.find((candidate) => normalCidr(candidate.destination) === destination);
    const ours = route?.interface === eni && route.state !== 'blackhole';
    return { table, destination, ours, what: ours ? '' : wrong({ table, destination }, view, route, eni) };
  });

const wrong = (
  { table, destination }: Route,
  view: RouteTableView | undefined,
  route: RouteTableView['routes'][number] | undefined,
  eni: string,
): string => {
  if (view === undefined) return `${table} was not found`;
  if (route === undefined) return `${table} has no route to ${destination}`;
  if (route.interface === eni) return `${table}: the route to ${destination} is a ${route.state}`;
  return `${table}: the route to ${destination} leads to ${route.target}, not to ${eni}`;
};

/** Every address in every table. */
export const wantedRoutes = (tables: readonly string[], destinations: readonly string[]): readonly Route[] =>
  tables.flatMap((table) => destinations.map((destination) => ({ table, destination })));
