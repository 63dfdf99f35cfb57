// The agent of `secondary-ip`. Start takes the address over in EC2 and believes it only when a read shows it; stop takes it
// from the host and never from the peer: EC2 is asked to unassign only at this node's own ENI, and only while that has it.
import { inject, injectable } from 'tsyringe';
import {
  Addresses,
  Clock,
  Random,
  reasonOf,
  UnderstudyError,
  type ActionContext,
  type ActionReport,
  type Agent,
  type MonitorContext,
  type MonitorResult,
  type Operation,
  type SideEffect,
} from 'understudy/plugin';
import { leasedLimits, readLimits, Throttled } from './calls.js';
import { Ec2, type Access } from './ec2.js';
import { addAddresses, presenceOf, removeAddresses, type WantedAddresses } from './host-addresses.js';
import { Imds } from './imds.js';
import { makeTrue } from './make-true.js';
import { RouteMemory, type Inspection } from './route-memory.js';
import type { SecondaryIpOptions } from './secondary-ip.js';
import { Standby } from './standby.js';

type Monitoring = MonitorContext<SecondaryIpOptions>;
type Acting = ActionContext<SecondaryIpOptions>;

@injectable()
export class SecondaryIpAgent implements Agent<SecondaryIpOptions> {
  private readonly memory: RouteMemory;
  private readonly standby: Standby;
  private readonly throttled: Throttled;

  constructor(
    @inject(Ec2) private readonly ec2: Ec2,
    @inject(Imds) private readonly imds: Imds,
    @inject(Addresses) private readonly addresses: Addresses,
    @inject(Clock) private readonly clock: Clock,
    @inject(Random) private readonly random: Random,
  ) {
    this.memory = new RouteMemory(clock);
    this.standby = new Standby(clock);
    this.throttled = new Throttled(clock, random);
  }

  async monitor(context: Monitoring): Promise<MonitorResult> {
    const { options, signal, active } = context;
    const { missing, any } = await presenceOf(this.addresses, wantedAddress(options), signal);
    if (!active) {
      const detail = {
        api: this.standby.ready(
          context,
          async (limits) =>
            void (await this.ec2.interface(await this.eni({ ...context, signal: limits.signal }), accessOf(options), limits)),
        ),
      };
      // amazon-ec2-net-utils puts every secondary address of the ENI on the host by itself.
      return any
        ? {
            state: 'online',
            reason: `${options.address} is on this node, which does not hold the group; does amazon-ec2-net-utils add it?`,
            detail,
          }
        : { state: 'offline', detail };
    }
    if (missing.length > 0) return { state: any ? 'faulted' : 'offline', reason: `${options.address} is missing on ${options.interface}` };
    await this.memory.refresh(context, options.checkEvery, () => this.inspect(context));
    return this.memory.verdict(context, options.checkEvery);
  }

  async start(context: Acting): Promise<ActionReport> {
    const eni = await this.eni(context);
    const calls = await this.assign(context, eni);
    await this.putOn(context);
    this.memory.forget(context);
    this.memory.watchClosely(context);
    return { detail: { eni, calls } };
  }

  async reassert(context: Acting): Promise<ActionReport> {
    const { missing } = await presenceOf(this.addresses, wantedAddress(context.options), context.signal);
    context.checkLease();
    if (missing.length > 0) await this.putOn(context);
    if (this.memory.wrong(context).routes.length === 0) return { detail: { added: missing } };
    const eni = await this.eni(context);
    const calls = await this.assign(context, eni);
    await this.addresses.announce(context.options.interface, context.options.address, context.options.announce, context.signal);
    this.memory.forget(context);
    return { detail: { eni, calls } };
  }

  async stop(context: Acting): Promise<ActionReport> {
    this.memory.forget(context);
    await removeAddresses(this.addresses, wantedAddress(context.options), context.signal);
    if (context.options.onStop === 'keep') return {};
    return this.unassign(context);
  }

  async plan(op: Operation, { options }: Monitoring): Promise<readonly SideEffect[]> {
    const { address, prefixLength, interface: name, eni = `the ENI of ${options.interface} (instance metadata)` } = options;
    const host = (what: 'add' | 'remove' | 'announce'): SideEffect => ({
      kind: 'address',
      what: this.addresses.describe(what, name, address, prefixLength),
      on: name,
    });
    const api = (action: string, parameters: string): SideEffect => ({
      kind: 'api',
      what: `${action} ${parameters}`,
      on: eni,
      permission: `ec2:${action}`,
    });
    const read = api('DescribeNetworkInterfaces', `Filter addresses.private-ip-address=${address}`);
    if (op === 'start')
      return [
        api('AssignPrivateIpAddresses', `NetworkInterfaceId=${eni} PrivateIpAddresses=${address} AllowReassignment=true`),
        read,
        host('add'),
        host('announce'),
      ];
    if (op !== 'stop') return [];
    return [
      host('remove'),
      ...(options.onStop === 'unassign'
        ? [read, api('UnassignPrivateIpAddresses', `NetworkInterfaceId=${eni} PrivateIpAddresses=${address} (only if that ENI has it)`)]
        : []),
    ];
  }

  watch(_context: Monitoring, changed: () => void): () => void {
    this.addresses.prepareToAnnounce?.();
    return this.addresses.watch(changed);
  }

  private async putOn(context: Acting): Promise<void> {
    const { options, signal } = context;
    context.checkLease();
    await addAddresses(this.addresses, wantedAddress(options), signal);
    if (options.announce > 0) await this.addresses.announce(options.interface, options.address, options.announce, signal);
  }

  private async eni({ options, signal }: Monitoring): Promise<string> {
    return options.eni ?? this.memory.eniOf(options.interface, () => this.imds.eni(options.interface, signal));
  }

  private async inspect(context: Monitoring): Promise<Inspection> {
    const { options } = context;
    const eni = await this.eni(context);
    const owner = await this.ec2.interfaceWith(options.address, accessOf(options), readLimits(context));
    const ours = owner?.id === eni;
    const what = ours ? '' : `EC2 has ${options.address} at ${owner?.id ?? 'no interface'}, not at ${eni}`;
    return { check: '', routes: [{ table: eni, destination: options.address, ours, what }] };
  }

  /** Returns the number of calls it took. Rejects when EC2 refuses, when time is over or the lease is gone. */
  private async assign(context: Acting, eni: string): Promise<number> {
    const { options, signal } = context;
    const access = accessOf(options);
    const { state, failure, calls } = await makeTrue(
      {
        write: (limits) => this.ec2.assignAddress(eni, options.address, access, limits),
        shown: async (limits) => (await this.ec2.interfaceWith(options.address, access, limits))?.id === eni,
        limits: () => leasedLimits(context, this.clock, signal),
        signal,
      },
      { clock: this.clock, random: this.random, throttled: this.throttled },
    );
    if (state === 'shown') return calls;
    throw new UnderstudyError(
      'AGENT_FAILED',
      `${options.address} could not be taken over by ${eni}: ${failure?.message ?? 'no read shows it there'}`,
      { ...(failure !== null && { cause: failure }) },
    );
  }

  private async unassign(context: Acting): Promise<ActionReport> {
    const { options } = context;
    try {
      const eni = await this.eni(context);
      const owner = await this.ec2.interfaceWith(options.address, accessOf(options), readLimits(context));
      if (owner?.id !== eni) return { detail: { leftAt: owner?.id ?? null } };
      await this.ec2.unassignAddress(eni, options.address, accessOf(options), readLimits(context));
      return { detail: { unassigned: eni } };
    } catch (thrown) {
      return { degraded: `${options.address} is gone from the host, but EC2 still has it assigned: ${reasonOf(thrown)}` };
    }
  }
}

const accessOf = ({ assumeRole }: SecondaryIpOptions): Access => ({ assumeRole: assumeRole ?? null });

const wantedAddress = ({ interface: name, address, prefixLength, label }: SecondaryIpOptions): WantedAddresses => ({
  interface: name,
  addresses: [{ address, prefixLength }],
  label,
});
