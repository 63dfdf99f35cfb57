// The agent of `overlay-ip`. Level-triggered by the holder only: start and reassert make routes and address true, monitor
// looks and changes nothing, stop takes the address away whatever the routes say. A node that does not hold the group never
// writes a route; what it may do is keep its client warm, so that a failover pays neither import, credentials nor handshake.
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
import { leasedLimits, readLimits, renewedSince, Throttled } from './calls.js';
import { Ec2, type Access, type Route } from './ec2.js';
import { addAddresses, presenceOf, removeAddresses, type WantedAddresses } from './host-addresses.js';
import { Imds } from './imds.js';
import { addressesOf, destinationsOf, prefixLengthOf, type OverlayIpOptions } from './overlay-ip.js';
import { planOverlayIp } from './overlay-ip-plan.js';
import { findingsOf, wantedRoutes } from './route-findings.js';
import { moveRoute, type Moved } from './route-mover.js';
import { RouteMemory } from './route-memory.js';
import { Standby } from './standby.js';

type Monitoring = MonitorContext<OverlayIpOptions>;
type Acting = ActionContext<OverlayIpOptions>;

/** A start with one table verified waits so long for the others before it is online (degraded). */
const STRAGGLERS_MS = 3_000;
/** One round of putting routes right; longer would delay the address itself being put right. */
const REASSERT_MS = 2_000;

@injectable()
export class OverlayIpAgent implements Agent<OverlayIpOptions> {
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
    const { missing, any } = await presenceOf(this.addresses, wantedAddresses(options), signal);
    if (!active) {
      const detail = { api: this.standby.ready(context, (limits) => this.warm(context, limits)) };
      return any
        ? { state: 'online', reason: 'the address is on this node, which does not hold the group', detail }
        : { state: 'offline', detail };
    }
    if (missing.length > 0) {
      const reason = `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing on ${options.interface}`;
      return { state: any ? 'faulted' : 'offline', reason };
    }
    await this.memory.refresh(context, options.routeCheckEvery, () => this.inspect(context));
    return this.memory.verdict(context, options.routeCheckEvery);
  }

  async start(context: Acting): Promise<ActionReport> {
    const { options, log } = context;
    const routeFirst = options.requireAllTables || options.order === 'route-first';
    const eni = await this.eni(context);
    context.checkLease();
    if (!routeFirst) await addAddresses(this.addresses, wantedAddresses(options), context.signal);
    const [check, moved] = await Promise.all([
      this.sourceDestCheck(context, eni),
      this.moveAll(context, eni, wantedRoutes(options.routeTables, destinationsOf(options))),
    ]);
    refuseStart(options, moved, check);
    context.checkLease();
    if (routeFirst) await addAddresses(this.addresses, wantedAddresses(options), context.signal);
    this.memory.moved(context, moved, check);
    this.memory.watchClosely(context);
    const degraded = words([...moved.map(({ what }) => what), check]);
    log.info('overlay IP moved', {
      eni,
      tables: moved.map(({ table, state, elapsedMs }) => `${table} ${state} ${Math.round(elapsedMs)} ms`),
    });
    return { ...(degraded !== '' && { degraded }), detail: { eni, routes: moved } };
  }

  async reassert(context: Acting): Promise<ActionReport> {
    const { options } = context;
    const wanted = wantedAddresses(options);
    const { missing } = await presenceOf(this.addresses, wanted, context.signal);
    context.checkLease();
    if (missing.length > 0) {
      await addAddresses(this.addresses, wanted, context.signal);
      return { detail: { added: missing } };
    }
    const wrong = this.memory.wrong(context);
    if (wrong.routes.length === 0 && wrong.check === '') return {};
    const eni = await this.eni(context);
    // An old holder may have written it: only a renewal sent after the look proves that this node is the one to correct it.
    if (options.requireAllTables) await renewedSince(context, this.clock);
    const [check, moved] = await Promise.all([
      wrong.check === '' ? '' : this.sourceDestCheck(context, eni),
      this.moveAll(context, eni, wrong.routes, REASSERT_MS),
    ]);
    this.memory.moved(context, moved, check);
    const degraded = words([...moved.map(({ what }) => what), check]);
    return { ...(degraded !== '' && { degraded }), detail: { eni, routes: moved } };
  }

  /** First and unconditionally the address: no API is asked whether the route is still ours before it is gone. */
  async stop(context: Acting): Promise<ActionReport> {
    this.memory.forget(context);
    await removeAddresses(this.addresses, wantedAddresses(context.options), context.signal);
    if (context.options.onStop === 'keep') return {};
    const left = await this.deleteRoutes(context);
    return left === '' ? {} : { degraded: left };
  }

  async plan(op: Operation, context: Monitoring): Promise<readonly SideEffect[]> {
    return planOverlayIp(op, context.options, (what, name, address, length) => this.addresses.describe(what, name, address, length));
  }

  watch(_context: Monitoring, changed: () => void): () => void {
    return this.addresses.watch(changed);
  }

  private async eni({ options, signal }: Monitoring): Promise<string> {
    return options.eni ?? this.memory.eniOf(options.interface, () => this.imds.eni(options.interface, signal));
  }

  private async warm(context: Monitoring, limits: { readonly signal: AbortSignal; readonly timeoutMs: number }): Promise<void> {
    await Promise.all([
      this.eni({ ...context, signal: limits.signal }),
      this.ec2.warm(context.options.routeTables, accessOf(context.options), limits),
    ]);
  }

  /** One read of all tables, and one of the ENI where its check matters. */
  private async inspect(context: Monitoring): Promise<{ readonly routes: ReturnType<typeof findingsOf>; readonly check: string }> {
    const { options } = context;
    const eni = await this.eni(context);
    const limits = readLimits(context);
    const [tables, check] = await Promise.all([
      this.ec2.routeTables(options.routeTables, accessOf(options), limits),
      options.sourceDestCheck === 'off'
        ? ''
        : this.ec2.interface(eni, accessOf(options), limits).then(({ sourceDestCheck }) => (sourceDestCheck ? checkIsOn(eni) : '')),
    ]);
    return { routes: findingsOf(wantedRoutes(options.routeTables, destinationsOf(options)), tables, eni), check };
  }

  /** Every route at once. Ends when all are verified or refused, when the stragglers had their time, or at the deadline. */
  private async moveAll(context: Acting, eni: string, routes: readonly Route[], withinMs?: number): Promise<readonly Moved[]> {
    const { options } = context;
    const enough = new AbortController();
    const signal = AbortSignal.any([context.signal, enough.signal]);
    const timers = [this.clock.after(withinMs ?? deadlineOf(context), () => enough.abort(new Error('its time is over')))];
    const move = {
      eni,
      access: accessOf(options),
      createIfMissing: options.createIfMissing,
      signal,
      limits: () => leasedLimits(context, this.clock, signal),
    };
    const one = async (route: Route): Promise<Moved> => {
      const moved = await moveRoute(
        { ec2: this.ec2, clock: this.clock, random: this.random, throttled: this.throttled },
        { ...route, ...move },
      );
      if (moved.state === 'verified' && !options.requireAllTables)
        timers.push(this.clock.after(STRAGGLERS_MS, () => enough.abort(new Error('the others are late'))));
      return moved;
    };
    try {
      return await Promise.all(routes.map(one));
    } finally {
      enough.abort(new Error('over'));
      for (const timer of timers) timer.cancel();
    }
  }

  /** Words when the check is on and stays on; nothing when it is off, not to be looked at, or cannot be seen now. */
  private async sourceDestCheck(context: Acting, eni: string): Promise<string> {
    const { sourceDestCheck } = context.options;
    const access = accessOf(context.options);
    if (sourceDestCheck === 'off') return '';
    try {
      if (!(await this.ec2.interface(eni, access, readLimits(context))).sourceDestCheck) return '';
      if (sourceDestCheck === 'verify') return checkIsOn(eni);
      await this.ec2.setSourceDestCheck(eni, false, access, await leasedLimits(context, this.clock, context.signal));
      return '';
    } catch (thrown) {
      context.log.warn('the source/destination check could not be seen or changed', { eni, reason: reasonOf(thrown) });
      return sourceDestCheck === 'enforce' ? `${eni}: ${reasonOf(thrown)}` : '';
    }
  }

  /** Only routes that still lead here: whoever took the address over keeps it. */
  private async deleteRoutes(context: Acting): Promise<string> {
    try {
      const { routes } = await this.inspect(context);
      const ours = routes.filter((route) => route.ours);
      const ended = await Promise.allSettled(
        ours.map((route) => this.ec2.deleteRoute(route, accessOf(context.options), readLimits(context))),
      );
      return words(ended.map((end, index) => (end.status === 'rejected' ? `${ours[index]!.table}: ${reasonOf(end.reason)}` : '')));
    } catch (thrown) {
      return `the routes were left as they are: ${reasonOf(thrown)}`;
    }
  }
}

const accessOf = ({ assumeRole }: OverlayIpOptions): Access => ({ assumeRole: assumeRole ?? null });

const wantedAddresses = (options: OverlayIpOptions): WantedAddresses => ({
  interface: options.interface,
  addresses: addressesOf(options).map((address) => ({ address, prefixLength: prefixLengthOf(address) })),
  label: options.label,
});

const words = (parts: readonly string[]): string => [...new Set(parts.filter((part) => part !== ''))].join('; ');

const checkIsOn = (eni: string): string =>
  `${eni} has its source/destination check on, so EC2 drops every packet for the address: aws ec2 modify-network-interface-attribute --network-interface-id ${eni} --no-source-dest-check`;

/** A little before the end, so that there is time to say how far it came. */
const deadlineOf = ({ limitMs }: Acting): number => Math.max(limitMs * 0.5, limitMs - 1_000);

const refuseStart = (options: OverlayIpOptions, moved: readonly Moved[], check: string): void => {
  const verified = moved.filter(({ state }) => state === 'verified').length;
  const refuse = (why: string): never => {
    throw new UnderstudyError('AGENT_FAILED', `${addressesOf(options).join(', ')} could not be moved: ${why}`, { routes: moved });
  };
  if (check !== '' && options.sourceDestCheck === 'verify') refuse(check);
  if (verified === 0) refuse(words(moved.map(({ what }) => what)));
  if (options.requireAllTables && verified < moved.length) refuse(`requireAllTables is set, and ${words(moved.map(({ what }) => what))}`);
};
