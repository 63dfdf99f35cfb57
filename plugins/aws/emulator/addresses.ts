// Addresses that EC2 itself knows: secondary private addresses, IPv6 addresses and elastic addresses of interfaces. Pure.
// An address is refused while another interface has it, unless the request says that it may be moved; a primary one never moves.
import { ApiError, invalid } from './errors.js';
import { normalAddress, ownerOf } from './routes.js';
import { contains, interfaceOf, onlyInterfaceOf, subnetOf, withInterface, type ElasticAddress, type Vpc } from './vpc.js';

export const assignPrivate = (vpc: Vpc, eniId: string, addresses: readonly string[], allowReassignment: boolean): Vpc => {
  const eni = interfaceOf(vpc, eniId);
  const subnet = subnetOf(vpc, eni.subnet);
  for (const address of addresses) {
    if (!contains(subnet.cidr, address)) throw invalid(`Address ${address} does not fall within the subnet's address range`);
    const owner = ownerOf(vpc, address);
    if (owner === undefined || owner.id === eni.id) continue;
    if (owner.primary === address) throw invalid(`[${address}] is the primary address of ${owner.id} and cannot be moved.`);
    if (!allowReassignment) throw invalid(`[${address}] assigned, but move is not allowed.`);
  }
  const others = Object.values(vpc.interfaces).filter(
    (other) => other.id !== eniId && other.secondary.some((address) => addresses.includes(address)),
  );
  const freed = others.reduce(
    (state, other) => withInterface(state, { ...other, secondary: other.secondary.filter((address) => !addresses.includes(address)) }),
    vpc,
  );
  const added = addresses.filter((address) => address !== eni.primary && !eni.secondary.includes(address));
  return withInterface(freed, { ...eni, secondary: [...eni.secondary, ...added] });
};

export const unassignPrivate = (vpc: Vpc, eniId: string, addresses: readonly string[]): Vpc => {
  const eni = interfaceOf(vpc, eniId);
  const foreign = addresses.filter((address) => !eni.secondary.includes(address));
  if (foreign.length > 0) throw invalid(`Some of the specified addresses are not assigned to interface ${eniId}: [${foreign.join(', ')}]`);
  return withInterface(vpc, { ...eni, secondary: eni.secondary.filter((address) => !addresses.includes(address)) });
};

/** IPv6 addresses have no AllowReassignment: one that is taken must be unassigned first. */
export const assignIpv6 = (vpc: Vpc, eniId: string, asked: readonly string[]): Vpc => {
  const eni = interfaceOf(vpc, eniId);
  const subnet = subnetOf(vpc, eni.subnet);
  const addresses = asked.map(normalAddress);
  for (const address of addresses) {
    if (subnet.ipv6Cidr === null || !contains(subnet.ipv6Cidr, address))
      throw invalid(`Address ${address} does not fall within the subnet's IPv6 address range`);
    const owner = ownerOf(vpc, address);
    if (owner !== undefined && owner.id !== eniId) throw invalid(`[${address}] is already assigned to ${owner.id}.`);
  }
  return withInterface(vpc, { ...eni, ipv6: [...new Set([...eni.ipv6, ...addresses])] });
};

export const unassignIpv6 = (vpc: Vpc, eniId: string, asked: readonly string[]): Vpc => {
  const eni = interfaceOf(vpc, eniId);
  const addresses = asked.map(normalAddress);
  const foreign = addresses.filter((address) => !eni.ipv6.includes(address));
  if (foreign.length > 0) throw invalid(`Some of the specified addresses are not assigned to interface ${eniId}: [${foreign.join(', ')}]`);
  return withInterface(vpc, { ...eni, ipv6: eni.ipv6.filter((address) => !addresses.includes(address)) });
};

/** What AssociateAddress asks for: the elastic address by either name, and where it shall go. */
export interface Association {
  readonly allocation?: string | undefined;
  readonly publicIp?: string | undefined;
  readonly interface?: string | undefined;
  readonly instance?: string | undefined;
  readonly privateIp?: string | undefined;
  readonly allowReassociation: boolean;
}

export const associate = (vpc: Vpc, asked: Association): { readonly vpc: Vpc; readonly id: string } => {
  const address = elasticOf(vpc, asked);
  const eni = asked.interface !== undefined ? interfaceOf(vpc, asked.interface) : onlyInterfaceOf(vpc, asked.instance ?? '');
  const privateIp = asked.privateIp ?? eni.primary;
  if (privateIp !== eni.primary && !eni.secondary.includes(privateIp))
    throw invalid(`The private address ${privateIp} is not assigned to ${eni.id}`);
  const same = address.association?.interface === eni.id && address.association.privateIp === privateIp;
  if (address.association !== null && same) return { vpc, id: address.association.id };
  if (address.association !== null && !asked.allowReassociation) {
    throw new ApiError(
      'Resource.AlreadyAssociated',
      `resource ${address.id} is already associated with associate-id ${address.association.id}`,
    );
  }
  const associations = vpc.associations + 1;
  const id = `eipassoc-${associations.toString(16).padStart(8, '0')}`;
  return { vpc: { ...withElastic(vpc, { ...address, association: { id, interface: eni.id, privateIp } }), associations }, id };
};

export const disassociate = (vpc: Vpc, association: string): Vpc => {
  const address = Object.values(vpc.elastic).find((candidate) => candidate.association?.id === association);
  if (address === undefined) throw new ApiError('InvalidAssociationID.NotFound', `The association ID '${association}' does not exist`);
  return withElastic(vpc, { ...address, association: null });
};

const withElastic = (vpc: Vpc, address: ElasticAddress): Vpc => ({ ...vpc, elastic: { ...vpc.elastic, [address.id]: address } });

const elasticOf = (vpc: Vpc, { allocation, publicIp }: Association): ElasticAddress => {
  const address = Object.values(vpc.elastic).find((candidate) => candidate.id === allocation || candidate.publicIp === publicIp);
  if (address !== undefined) return address;
  if (allocation !== undefined) throw new ApiError('InvalidAllocationID.NotFound', `The allocation ID '${allocation}' does not exist`);
  throw new ApiError('InvalidAddress.NotFound', `Address '${publicIp ?? ''}' not found.`);
};
