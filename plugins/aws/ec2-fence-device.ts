// Powers a node's instance off by StopInstances and proves it by DescribeInstances. Invariant: confirmed is only what two
// questions, both sent after EC2 answered a stop of this very request and at least one second apart, were told without any other
// state between: `stopped`, `terminated`, or an instance EC2 no longer knows. `stopping` and `shutting-down` confirm nothing.
import { type FenceContext, type FenceDevice, type FenceRequest, Random, reasonOf, UnderstudyError, type z } from 'understudy/plugin';
import type { CallLimits } from './ec2.js';
import type { EC2_FENCE_OPTIONS } from './ec2-fence.js';
import { Ec2Failure, failureOf } from './failures.js';
import { Imds } from './imds.js';
import { Instances, type InstanceView } from './instances.js';
import { Pace } from './pace.js';

type Options = z.output<typeof EC2_FENCE_OPTIONS>;

const CALL_MS = 5_000;
/** Two looks that confirm are so far apart: EC2's answers may be of different age. */
const APART_MS = 1_000;
/** A running instance is told again so often, a stopping one less: Force ends what hangs. */
const AGAIN_RUNNING_MS = 30_000;
const AGAIN_STOPPING_MS = 60_000;
const OFF: readonly string[] = ['stopped', 'terminated', 'absent'];
/** StopInstances says so of an instance that is terminated, and of one that is not yet running. */
const NOT_STOPPABLE = 'IncorrectInstanceState';

export class Ec2FenceDevice implements FenceDevice {
  private readonly instances: Instances;
  private readonly imds: Imds;
  private readonly random: Random;

  constructor(
    private readonly options: Options,
    private readonly context: FenceContext,
  ) {
    this.instances = context.service<Instances>(Instances);
    this.imds = context.service<Imds>(Imds);
    this.random = context.service<Random>(Random);
  }

  async fence(request: FenceRequest): Promise<{ readonly evidence: string }> {
    const id = this.instanceOf(request.node);
    const own = await this.refuseSelf(request.node, id, request.signal);
    return new Attempt({ id, own }, request, this.options, this.context, this.instances, this.random).run();
  }

  /** Asks by dry runs whether each other node's instance could be stopped, and whether it is the one it is taken for. */
  async check(signal: AbortSignal): Promise<string | null> {
    for (const { id: node } of this.context.nodes) {
      if (node === this.context.node) continue;
      try {
        const id = this.instanceOf(node);
        await this.refuseSelf(node, id, signal);
        const view = await this.instances.instance(id, { signal, timeoutMs: CALL_MS });
        if (view === null) return `${id} of ${node} is not known to EC2 in this region: was it replaced?`;
        refuseStranger(view, node, this.options, this.context);
        await this.instances.stop(id, { force: true, skipOsShutdown: true, dryRun: true }, { signal, timeoutMs: CALL_MS });
      } catch (thrown) {
        // A type that refuses to skip the shutdown is stopped without that.
        if (!refusesSkip(thrown)) return reasonOf(thrown);
      }
    }
    return null;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private instanceOf(node: string): string {
    if (node === this.context.node) throw refused(node, 'a node does not stop itself; it fences itself by its guard');
    const id = this.options.instances[node];
    if (id === undefined) throw refused(node, `no instance is named for it: instances: { ${node}: i-… }`);
    return id;
  }

  /** Swapped ids in the config would stop this very instance. Where metadata is silent the address of the other one must be right. */
  private async refuseSelf(node: string, id: string, signal: AbortSignal): Promise<string | null> {
    const own = await this.imds.instance(signal).catch((thrown: unknown) => {
      if (this.options.checkAddress && serviceAddressOf(node, this.context) !== null) return null;
      throw refused(node, `instance metadata does not say which instance this is, and no address is checked: ${reasonOf(thrown)}`);
    });
    if (own === id) throw refused(node, `${id} is the instance this runs on: the ids under instances: are mixed up`);
    return own;
  }
}

/** One attempt: its stop, what it saw since, and how it must go on. */
class Attempt {
  private readonly pace: Pace;
  private skipOsShutdown = true;
  /** When EC2 answered a stop of this attempt; null before. */
  private answered: { readonly atMs: number; readonly words: string } | null = null;
  /** When the first of the looks in a row was sent that saw it off. */
  private off: { readonly state: string; readonly sentMs: number } | null = null;
  private state: string | null = null;
  private seen = 'nothing';
  private readonly id: string;
  private readonly own: string | null;

  constructor(
    { id, own }: { readonly id: string; readonly own: string | null },
    private readonly request: FenceRequest,
    private readonly options: Options,
    private readonly context: FenceContext,
    private readonly instances: Instances,
    random: Random,
  ) {
    this.id = id;
    this.own = own;
    this.pace = new Pace(context.clock, random);
  }

  async run(): Promise<{ readonly evidence: string }> {
    const { signal, node } = this.request;
    let after: 'answer' | 'failure' = 'answer';
    try {
      for (;;) {
        signal.throwIfAborted();
        try {
          const evidence = await this.look();
          if (evidence !== null) return { evidence };
          await this.stopAgain();
          after = 'answer';
        } catch (thrown) {
          if (!(thrown instanceof Ec2Failure)) throw thrown;
          if (thrown.final) throw refused(node, `${this.id} cannot be stopped: ${thrown.message}`, thrown);
          this.seen = thrown.message;
          this.request.tell?.(`${this.id} is ${this.state ?? 'not seen yet'}; ${thrown.message}`);
          after = 'failure';
        }
        await this.pace.wait(after, signal);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
      throw new UnderstudyError('TIMED_OUT', `${node} is not confirmed off: ${this.id} was last seen: ${this.seen}`, { cause: thrown });
    }
  }

  /** Asks once what it is now. The proof in words when this look completes it. */
  private async look(): Promise<string | null> {
    const { clock } = this.context;
    const sentMs = clock.nowMs();
    const view = await this.instances.instance(this.id, this.limits());
    const state = view?.state ?? 'absent';
    this.state = state;
    this.seen = `${state} at ${clock.wallIso(sentMs)}`;
    this.request.tell?.(`${this.id} is ${state}`);
    if (view !== null) refuseStranger(view, this.request.node, this.options, this.context);
    const first = this.off;
    if (this.answered === null || !OFF.includes(state)) {
      this.off = null;
      return null;
    }
    if (first === null || sentMs - first.sentMs < APART_MS) {
      this.off ??= { state, sentMs };
      return null;
    }
    if (state !== 'stopped') await this.refuseSuccessor(state);
    return `${this.id}: ${this.answered.words} answered at ${clock.wallIso(this.answered.atMs)}; DescribeInstances said ${first.state} at ${clock.wallIso(first.sentMs)} and ${state} at ${clock.wallIso(sentMs)}`;
  }

  /**
   * An id that is over or unknown may be yesterday's, or misspelt, while the node lives on in another instance: then the node's
   * address is at another instance's interface. And who asks the wrong region finds nobody, not even itself.
   */
  private async refuseSuccessor(state: string): Promise<void> {
    const { node } = this.request;
    const address = serviceAddressOf(node, this.context);
    const cannot = (why: string) => refused(node, `EC2 says that ${this.id} is ${state}, which proves nothing: ${why}`);
    if (state === 'absent') {
      if (this.own === null) throw cannot('instance metadata does not say which instance this is');
      if (address === null) throw cannot('the node has no service address in the config to look for');
      if ((await this.instances.instance(this.own, this.limits())) === null)
        throw cannot(`this very instance, ${this.own}, is not known there either: is it the right region?`);
    }
    const holder = address === null ? null : await this.instances.holderOf(address, this.limits());
    if (holder !== null && holder !== this.id) throw cannot(`${address} belongs to ${holder} now`);
  }

  /** Of two nodes that want to stop each other the first one wins: who is being stopped stops nobody (SAFETY a.7). */
  private async refuseWhenOver(): Promise<void> {
    const view = this.own === null ? null : await this.instances.instance(this.own, this.limits());
    if (view === null || view.state === 'running' || view.state === 'pending') return;
    throw refused(this.request.node, `${this.own}, the instance this runs on, is ${view.state} itself`);
  }

  /** Tells EC2 to stop it, when it was not told yet or does not follow. */
  private async stopAgain(): Promise<void> {
    const { clock } = this.context;
    const state = this.state ?? '';
    const over = state === 'shutting-down' || OFF.includes(state);
    const againMs = over ? Number.POSITIVE_INFINITY : state === 'stopping' ? AGAIN_STOPPING_MS : AGAIN_RUNNING_MS;
    if (this.answered !== null && clock.nowMs() - this.answered.atMs < againMs) return;
    if (this.answered === null) await this.refuseWhenOver();
    return this.stop(state, over);
  }

  private async stop(state: string, over: boolean): Promise<void> {
    const { clock } = this.context;
    const how = `StopInstances (Force${this.skipOsShutdown ? ', SkipOsShutdown' : ''})`;
    try {
      const was = await this.instances.stop(this.id, { force: true, skipOsShutdown: this.skipOsShutdown }, this.limits());
      this.answered = { atMs: clock.nowMs(), words: `${how}, it was ${was},` };
    } catch (thrown) {
      const failure = failureOf('StopInstances', thrown);
      if (refusesSkip(failure)) {
        this.skipOsShutdown = false;
        this.context.log.info('this instance type does not skip the shutdown of its system: it is stopped by force alone', {
          instance: this.id,
        });
        return this.stop(state, over);
      }
      // EC2 has nothing to stop: what it says of the instance from now on is its answer to us.
      if ((failure.code === NOT_STOPPABLE && over) || failure.code === 'InvalidInstanceID.NotFound') {
        this.answered = { atMs: clock.nowMs(), words: `${how}, refused with ${failure.code},` };
        return;
      }
      if (failure.code === NOT_STOPPABLE)
        throw new Ec2Failure('transient', 'StopInstances', failure.code, `it is ${state}`, false, { cause: failure });
      throw failure;
    } finally {
      // Whatever was seen before this stop proves nothing about after it.
      this.off = null;
    }
  }

  private limits(): CallLimits {
    return { signal: this.request.signal, timeoutMs: CALL_MS };
  }
}

const refused = (node: string, why: string, cause?: unknown): UnderstudyError =>
  new UnderstudyError('REFUSED', `fence ec2 does not stop ${node}: ${why}`, cause === undefined ? {} : { cause });

const serviceAddressOf = (node: string, { nodes }: FenceContext): string | null =>
  nodes.find(({ id }) => id === node)?.serviceAddress ?? null;

/** An instance that is over has no addresses any more. */
const refuseStranger = ({ id, state, addresses }: InstanceView, node: string, { checkAddress }: Options, context: FenceContext): void => {
  const expected = serviceAddressOf(node, context);
  if (!checkAddress || expected === null || state === 'terminated' || state === 'shutting-down' || addresses.includes(expected)) return;
  throw refused(
    node,
    `${id} has ${addresses.join(', ') || 'no address'} and not ${expected}: another instance has taken the place of ${node}`,
  );
};

/** Only the option is refused, in whatever code EC2 puts it. Seen: OperationNotPermitted, `SkipOsShutdown is not supported on Xen instance types.` */
const refusesSkip = (thrown: unknown): boolean => thrown instanceof Ec2Failure && thrown.final && /SkipOsShutdown/i.test(thrown.message);
