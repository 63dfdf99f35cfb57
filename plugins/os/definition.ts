// What ip-address is and what can be said to it. The code behind it: ip-address.ts.
import { canonicalAddress, defineAgent, durationMs, flag, integer, options, text, z } from 'understudy/plugin';

const shape = options({
  address: text('The floating address, without a prefix'),
  interface: text('Interface that gets it; `on:` gives each node its own'),
  prefix: integer('Prefix length; default 32, for IPv6 128', { min: 1, max: 128 }).optional(),
  label: text('Label shown by ip and ifconfig, e.g. vip; IPv4 only').optional(),
  noPrefixRoute: flag('No connected route for the prefix', false),
  announceCount: integer('Announcements to the neighbours after it came up', { min: 0, max: 100 }).default(3),
  announceEvery: durationMs('Announce again so often while it is here; without it never', undefined, { minMs: 1_000 }).optional(),
  duplicateWait: durationMs('Before it comes up, wait so long for another host that has it; 0ms = do not ask. IPv4', 100, {
    minMs: 0,
    maxMs: 10_000,
  }),
});

export const ipAddressOptions = shape
  .superRefine(({ address, prefix }, context) => {
    const canonical = canonicalAddress(address);
    if (canonical === null)
      context.addIssue({
        code: 'custom',
        path: ['address'],
        message: `"${address}" is not an IP address (the prefix length goes into prefix:)`,
      });
    else if (!canonical.includes(':') && prefix !== undefined && prefix > 32)
      context.addIssue({ code: 'custom', path: ['prefix'], message: `an IPv4 prefix ends at 32, not ${prefix}` });
  })
  .transform(({ prefix, ...rest }) => ({ ...rest, prefix: prefix ?? (rest.address.includes(':') ? 128 : 32) }));

export type IpAddressOptions = z.output<typeof ipAddressOptions>;

export const ipAddress = defineAgent({
  summary: 'Keeps an address on an interface of the active node and tells the neighbours.',
  options: ipAddressOptions,
  // Two hosts that answer ARP for one address are never harmless (SAFETY a.7b).
  fencedByEpoch: false,
  defaults: { everyMs: 1_000, monitorTimeoutMs: 5_000, startTimeoutMs: 10_000, stopTimeoutMs: 10_000 },
  hardStop: ({ options: { interface: name, address, prefix }, addressLine }) => [addressLine(name, address, prefix)],
  agent: () => import('./ip-address.js').then(({ IpAddress }) => IpAddress),
});
