// The instance metadata service, version 2, over the VPC value: what an instance may read of itself. Pure: a path in, a text
// out. Tokens, faults and HTTP are the server's.
import { interfacesOf, type Instance, type Interface, type Vpc } from './vpc.js';

export const ROLE = 'understudy-emulated';

/** What a role's holder signs with. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: string;
}

/** The text at a path below /latest, or null where there is nothing (404). */
export const metadataAt = (vpc: Vpc, instance: Instance | null, path: string, credentials: Credentials): string | null => {
  const [kind, ...rest] = path.split('/').filter((part) => part !== '');
  if (kind === 'meta-data' && rest[0] === 'iam') return rolePath(rest, credentials);
  if (instance === null) return null;
  if (kind === 'dynamic' && rest.join('/') === 'instance-identity/document') return JSON.stringify(identity(vpc, instance), null, 2);
  if (kind !== 'meta-data') return null;
  const enis = interfacesOf(vpc, instance.id);
  if (rest[0] === 'network') return networkPath(vpc, enis, rest);
  return plain(vpc, instance, enis[0])[rest.join('/')] ?? null;
};

/** Whose host asks: by the address it asks from, or by name where hosts share one. */
export const requester = (vpc: Vpc, remote: string, named: string | null): Instance | null => {
  const eni = Object.values(vpc.interfaces).find(({ primary, secondary, ipv6 }) => [primary, ...secondary, ...ipv6].includes(remote));
  const byName = (name: string) => vpc.instances[name] ?? Object.values(vpc.instances).find(({ tags }) => tags['Name'] === name);
  return (named === null ? vpc.instances[eni?.instance ?? ''] : byName(named)) ?? null;
};

const plain = (vpc: Vpc, instance: Instance, eni: Interface | undefined): Readonly<Record<string, string | undefined>> => ({
  'instance-id': instance.id,
  'instance-type': instance.type,
  mac: eni?.mac,
  'local-ipv4': eni?.primary,
  'placement/availability-zone': instance.zone,
  'placement/region': vpc.region,
});

const rolePath = (parts: readonly string[], credentials: Credentials): string | null => {
  if (parts[1] !== 'security-credentials') return null;
  if (parts[2] === undefined) return ROLE;
  if (parts[2] !== ROLE) return null;
  return JSON.stringify(
    {
      Code: 'Success',
      Type: 'AWS-HMAC',
      AccessKeyId: credentials.accessKeyId,
      SecretAccessKey: credentials.secretAccessKey,
      Token: credentials.sessionToken,
      Expiration: credentials.expiration,
    },
    null,
    2,
  );
};

const networkPath = (vpc: Vpc, enis: readonly Interface[], parts: readonly string[]): string | null => {
  if (parts[1] !== 'interfaces' || parts[2] !== 'macs') return null;
  if (parts[3] === undefined) return enis.map(({ mac }) => `${mac}/`).join('\n');
  const eni = enis.find(({ mac }) => mac === parts[3]);
  if (eni === undefined) return null;
  const subnet = vpc.subnets[eni.subnet];
  const known: Readonly<Record<string, string | undefined>> = {
    mac: eni.mac,
    'device-number': String(eni.deviceIndex),
    'interface-id': eni.id,
    'owner-id': vpc.account,
    'subnet-id': eni.subnet,
    'vpc-id': subnet?.vpc,
    'subnet-ipv4-cidr-block': subnet?.cidr,
    'vpc-ipv4-cidr-block': vpc.networks[subnet?.vpc ?? '']?.cidr,
    'local-ipv4s': [eni.primary, ...eni.secondary].join('\n'),
    ipv6s: eni.ipv6.length > 0 ? eni.ipv6.join('\n') : undefined,
  };
  return parts[4] === undefined ? Object.keys(known).join('\n') : (known[parts.slice(4).join('/')] ?? null);
};

const identity = (vpc: Vpc, instance: Instance) => ({
  accountId: vpc.account,
  availabilityZone: instance.zone,
  instanceId: instance.id,
  instanceType: instance.type,
  privateIp: interfacesOf(vpc, instance.id)[0]?.primary,
  region: vpc.region,
  version: '2017-09-30',
});
