// What an operation of overlay-ip would do, call by call, for `understudy plan`. Pure: asks nobody.
import type { Addresses, Operation, SideEffect } from 'understudy/plugin';
import { addressesOf, destinationsOf, prefixLengthOf, type OverlayIpOptions } from './overlay-ip.js';

type Describe = Addresses['describe'];

export const planOverlayIp = (op: Operation, options: OverlayIpOptions, describe: Describe): readonly SideEffect[] => {
  const change = (what: 'add' | 'remove'): readonly SideEffect[] =>
    addressesOf(options).map((address) => ({
      kind: 'address',
      what: describe(what, options.interface, address, prefixLengthOf(address)),
      on: options.interface,
    }));
  if (op === 'start') {
    const routeFirst = options.requireAllTables || options.order === 'route-first';
    const routes = [...checkCalls(options), ...routeCalls(options)];
    return routeFirst ? [...routes, ...change('add')] : [...change('add'), ...routes];
  }
  if (op === 'stop') return [...change('remove'), ...(options.onStop === 'delete' ? deleteCalls(options) : [])];
  return [];
};

const eniOf = ({ eni, interface: name }: OverlayIpOptions): string => eni ?? `the ENI of ${name} (instance metadata)`;

const parameter = (destination: string): string =>
  `${destination.includes(':') ? 'DestinationIpv6CidrBlock' : 'DestinationCidrBlock'}=${destination}`;

const api = (action: string, on: string, parameters: string, permission = action): SideEffect => ({
  kind: 'api',
  what: `${action} ${parameters}`,
  on,
  permission: `ec2:${permission}`,
});

const routeCalls = (options: OverlayIpOptions): readonly SideEffect[] =>
  options.routeTables.flatMap((table) =>
    destinationsOf(options).flatMap((destination) => [
      api('ReplaceRoute', table, `RouteTableId=${table} ${parameter(destination)} NetworkInterfaceId=${eniOf(options)}`),
      ...(options.createIfMissing
        ? [
            api(
              'CreateRoute',
              table,
              `RouteTableId=${table} ${parameter(destination)} NetworkInterfaceId=${eniOf(options)} (only if the route is missing)`,
            ),
          ]
        : []),
      api('DescribeRouteTables', table, `RouteTableIds=${table} (read back until it shows)`),
    ]),
  );

const checkCalls = (options: OverlayIpOptions): readonly SideEffect[] => {
  const eni = eniOf(options);
  if (options.sourceDestCheck === 'off') return [];
  const enforce = api('ModifyNetworkInterfaceAttribute', eni, `NetworkInterfaceId=${eni} SourceDestCheck=false (only if it is on)`);
  return [api('DescribeNetworkInterfaces', eni, `NetworkInterfaceIds=${eni}`), ...(options.sourceDestCheck === 'enforce' ? [enforce] : [])];
};

const deleteCalls = (options: OverlayIpOptions): readonly SideEffect[] => [
  api('DescribeRouteTables', options.routeTables.join(', '), `RouteTableIds=${options.routeTables.join(',')}`),
  ...options.routeTables.flatMap((table) =>
    destinationsOf(options).map((destination) =>
      api('DeleteRoute', table, `RouteTableId=${table} ${parameter(destination)} (only if it leads to ${eniOf(options)})`),
    ),
  ),
];
