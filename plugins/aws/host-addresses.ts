// The OS half of an address agent: are the addresses on their interface, put them there, take them away from wherever they
// are. The only door is Addresses; no API in here.
import { reasonOf, sameAddress, UnderstudyError, type Addresses } from 'understudy/plugin';

export interface WantedAddresses {
  readonly interface: string;
  readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[];
  readonly label?: string | undefined;
}

export interface Presence {
  /** Not on the interface where they belong. */
  readonly missing: readonly string[];
  /** On another interface of this host: put there by somebody else. */
  readonly elsewhere: readonly { readonly address: string; readonly interface: string }[];
  /** Whether the host has any of them anywhere. */
  readonly any: boolean;
}

export const presenceOf = async (host: Addresses, wanted: WantedAddresses, signal: AbortSignal): Promise<Presence> => {
  const held = await host.list(signal);
  const here = (address: string) => held.filter((one) => sameAddress(one.address, address));
  const all = wanted.addresses.map(({ address }) => address);
  return {
    missing: all.filter((address) => !here(address).some((one) => one.interface === wanted.interface)),
    elsewhere: all.flatMap((address) =>
      here(address)
        .filter((one) => one.interface !== wanted.interface)
        .map((one) => ({ address, interface: one.interface })),
    ),
    any: all.some((address) => here(address).length > 0),
  };
};

export const addAddresses = async (host: Addresses, wanted: WantedAddresses, signal: AbortSignal): Promise<void> => {
  const { elsewhere } = await presenceOf(host, wanted, signal);
  for (const { address } of elsewhere) await host.remove(address, signal);
  for (const { address, prefixLength } of wanted.addresses) {
    await host.add(wanted.interface, address, prefixLength, wanted.label === undefined ? {} : { label: wanted.label }, signal);
  }
};

/** Takes away every one that can be, and only then says which could not. */
export const removeAddresses = async (host: Addresses, wanted: WantedAddresses, signal: AbortSignal): Promise<void> => {
  const ended = await Promise.allSettled(wanted.addresses.map(({ address }) => host.remove(address, signal)));
  const failed = ended.flatMap((one, index) =>
    one.status === 'rejected' ? [`${wanted.addresses[index]!.address}: ${reasonOf(one.reason)}`] : [],
  );
  if (failed.length > 0) throw new UnderstudyError('AGENT_FAILED', `Could not take the address from this host: ${failed.join('; ')}`);
};
