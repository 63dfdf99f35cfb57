// One node's view of the cloud for tests of the address agents: the emulator, the real SDK client, metadata, a host's addresses,
// and contexts with a lease that the test holds in its hand.
import { systemClock, type ActionContext, type Clock } from 'understudy/plugin';
import { makeActionContext } from 'understudy/testkit';
import { Ec2Clients } from '../../../plugins/aws/ec2-clients.js';
import { AwsEc2 } from '../../../plugins/aws/ec2.js';
import { type Emulator, type EmulatorOptions, startEmulator } from '../../../plugins/aws/emulator/emulator.js';
import { HttpImds } from '../../../plugins/aws/imds.js';
import type { Settings } from '../../../plugins/aws/settings.js';
import { MemoryAddresses } from '../../support/memory-addresses.js';
import { twoZones } from './vpcs.js';

/** Jitter without chance: always the middle. */
export const middle = { next: () => 0.5, hex: (bytes: number) => '0'.repeat(bytes * 2) };

/** The lease as a context shows it. */
export class Lease {
  held = true;
  remainingMs = 60_000;
}

export interface ContextOptions {
  readonly active?: boolean;
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
  readonly stopBudgetMs?: number;
  readonly lease?: Lease;
}

/** A context around parsed options. */
export const contextOf = <Options>(
  options: Options,
  { active = true, limitMs = 10_000, signal = AbortSignal.timeout(20_000), stopBudgetMs = 0, lease = new Lease() }: ContextOptions = {},
): ActionContext<Options> => ({
  ...makeActionContext({ options, active, limitMs, signal, lease, group: 'db', resource: 'vip', epoch: 7 }),
  stopBudgetMs,
});

export interface World {
  readonly emulator: Emulator;
  readonly ec2: AwsEc2;
  readonly imds: HttpImds;
  readonly addresses: MemoryAddresses;
  /** API calls so far, `Action outcome`, without metadata. */
  readonly calls: () => readonly string[];
}

export const startWorld = async (
  teardown: (end: () => Promise<void>) => void,
  {
    clientClock = systemClock,
    settings = {},
    ...emulated
  }: Partial<EmulatorOptions> & { readonly clientClock?: Clock; readonly settings?: Partial<Settings> } = {},
): Promise<World> => {
  const emulator = await startEmulator({ vpc: twoZones(), ...emulated });
  const imds = new HttpImds({ endpoint: `${emulator.url}/_host/a`, clock: systemClock, random: middle, macOf: () => null });
  const clients = new Ec2Clients(
    { region: 'ap-northeast-2', endpoint: emulator.url, stsEndpoint: emulator.url, imdsEndpoint: emulator.url, ...settings },
    imds,
  );
  teardown(async () => {
    clients.destroy();
    await emulator.stop();
  });
  const calls = () => emulator.calls.filter(({ action }) => action !== 'IMDS').map(({ action, outcome }) => `${action} ${outcome}`);
  return { emulator, ec2: new AwsEc2(clients, clientClock), imds, addresses: new MemoryAddresses(), calls };
};
