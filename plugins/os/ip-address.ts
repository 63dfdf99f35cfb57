// The agent behind ip-address. Level-triggered: the holder puts the address back when somebody takes it away, nobody else
// writes. Removed unconditionally on stop, from whatever interface it is on. Telling the neighbours never decides over
// online: an address that is up but could not be announced is online (degraded).
import { inject, injectable } from 'tsyringe';
import {
  type ActionContext,
  type ActionReport,
  Addresses,
  type Agent,
  Clock,
  type HostAddress,
  type MonitorContext,
  type MonitorResult,
  type Operation,
  reasonOf,
  sameAddress,
  type SideEffect,
  type Timer,
  UnderstudyError,
} from 'understudy/plugin';
import type { IpAddressOptions } from './definition.js';

type Monitoring = MonitorContext<IpAddressOptions>;
type Acting = ActionContext<IpAddressOptions>;

/** What goes on after a start has ended: the rest of the announcements, and the repeated ones. */
interface Announcing {
  readonly abort: AbortController;
  readonly timer: Timer | null;
}

@injectable()
export class IpAddress implements Agent<IpAddressOptions> {
  private readonly announcing = new Map<string, Announcing>();

  constructor(
    @inject(Addresses) private readonly addresses: Addresses,
    @inject(Clock) private readonly clock: Clock,
  ) {}

  async monitor({ options, signal }: Monitoring): Promise<MonitorResult> {
    const found = (await this.addresses.list(signal)).filter(({ address }) => sameAddress(address, options.address));
    const here = found.find(({ interface: name }) => name === options.interface);
    if (here !== undefined) {
      const other = here.prefixLength !== options.prefix;
      return other
        ? { state: 'online', degraded: `${options.address} has the prefix ${here.prefixLength} instead of ${options.prefix}` }
        : { state: 'online' };
    }
    if (found.length === 0) return { state: 'offline', reason: `${options.address} is on no interface that is up` };
    return { state: 'faulted', reason: `${options.address} is on ${namesOf(found)} instead of ${options.interface}` };
  }

  async start(context: Acting): Promise<ActionReport> {
    const { options, signal } = context;
    signal.throwIfAborted();
    if (!(await this.has(options, signal))) {
      await this.refuseDuplicate(options, signal);
      await this.put(context);
    }
    const problem = await this.announceOnce(context);
    this.announceOn(context, options.announceCount - 1);
    return problem === null ? {} : { degraded: problem };
  }

  async stop({ options, signal }: Acting): Promise<void> {
    this.announceNoMore(options.address);
    await this.addresses.remove(options.address, signal);
  }

  /** Somebody took it away while this node holds the group: back with it, and say so to the neighbours. */
  async reassert(context: Acting): Promise<ActionReport> {
    if (await this.has(context.options, context.signal)) return {};
    await this.put(context);
    const problem = await this.announceOnce(context);
    return { detail: { restored: context.options.address }, ...(problem === null ? {} : { degraded: problem }) };
  }

  watch(context: Monitoring, changed: () => void): () => void {
    // After a restart of the controller nobody has called start: the repeated announcements begin here.
    if (context.active && !this.announcing.has(context.options.address)) this.announceOn(context, 0);
    this.addresses.prepareToAnnounce?.();
    return this.addresses.watch(changed);
  }

  async plan(op: Operation, { options }: Monitoring): Promise<readonly SideEffect[]> {
    const { interface: name, address, prefix } = options;
    const effect = (step: 'add' | 'remove' | 'announce'): SideEffect => ({
      kind: 'address',
      what: this.addresses.describe(step, name, address, prefix),
      on: name,
    });
    if (op === 'stop') return [effect('remove')];
    if (op !== 'start') return [];
    const asking: SideEffect = {
      kind: 'address',
      what: `ask for ${options.duplicateWait} ms whether another host has ${address}`,
      on: name,
    };
    return [...(options.duplicateWait > 0 ? [asking] : []), effect('add'), ...(options.announceCount > 0 ? [effect('announce')] : [])];
  }

  private async has({ interface: name, address, prefix }: IpAddressOptions, signal: AbortSignal): Promise<boolean> {
    const list = await this.addresses.list(signal);
    return list.some((entry) => entry.interface === name && entry.prefixLength === prefix && sameAddress(entry.address, address));
  }

  private async put({ options, signal, checkLease }: Acting): Promise<void> {
    checkLease();
    const { interface: name, address, prefix, label, noPrefixRoute } = options;
    await this.addresses.add(name, address, prefix, { noPrefixRoute, ...(label === undefined ? {} : { label }) }, signal);
  }

  private async refuseDuplicate({ interface: name, address, duplicateWait }: IpAddressOptions, signal: AbortSignal): Promise<void> {
    if (duplicateWait === 0) return;
    const owner = await this.addresses.owner?.(name, address, duplicateWait, signal);
    if (owner === null || owner === undefined) return;
    throw new UnderstudyError('AGENT_FAILED', `${address} was not put on ${name}: the host with hardware address ${owner} answers for it`, {
      hint: 'Another host has this address: find it (ip neigh, the switch), or choose another one.',
    });
  }

  /** What went wrong, or null: the address is up either way. */
  private async announceOnce({ options, signal }: Acting): Promise<string | null> {
    if (options.announceCount === 0) return null;
    try {
      await this.addresses.announce(options.interface, options.address, 1, signal);
      return null;
    } catch (error) {
      return `the neighbours were not told: ${reasonOf(error)}`;
    }
  }

  /** Goes on in the background until stop, or until the address is found gone. */
  private announceOn({ options, log }: Monitoring, count: number): void {
    const { address, interface: name, announceEvery } = options;
    this.announceNoMore(address);
    const abort = new AbortController();
    const announce = (times: number) =>
      this.addresses.announce(name, address, times, abort.signal).catch((error) => {
        if (!abort.signal.aborted) log.warn('the neighbours were not told', { address, interface: name, reason: reasonOf(error) });
      });
    const again = async () => {
      if (await this.has(options, abort.signal)) await announce(1);
      else this.announceNoMore(address);
    };
    const failed = (error: unknown) => log.warn('the repeated announcement failed', { address, reason: reasonOf(error) });
    const timer = announceEvery === undefined ? null : this.clock.every(announceEvery, () => void again().catch(failed), { idle: true });
    if (count > 0) void announce(count);
    this.announcing.set(address, { abort, timer });
  }

  private announceNoMore(address: string): void {
    const running = this.announcing.get(address);
    running?.abort.abort();
    running?.timer?.cancel();
    this.announcing.delete(address);
  }
}

const namesOf = (found: readonly HostAddress[]): string => [...new Set(found.map(({ interface: name }) => name))].join(', ');
