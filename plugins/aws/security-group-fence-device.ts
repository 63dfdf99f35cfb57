// Gives a node's interfaces the isolation group and proves by DescribeNetworkInterfaces that they have it and nothing else.
// Invariant: it confirms only after every interface was seen isolated twice, `settle` apart, by questions sent after EC2 took the
// change; it never gives the former groups back, and names them in the evidence.
import { type FenceContext, type FenceDevice, type FenceRequest, Random, reasonOf, UnderstudyError, type z } from 'understudy/plugin';
import type { CallLimits } from './ec2.js';
import { Ec2Failure } from './failures.js';
import { Imds } from './imds.js';
import { type GroupedInterface, Instances } from './instances.js';
import { Pace } from './pace.js';
import type { SECURITY_GROUP_FENCE_OPTIONS } from './security-group-fence.js';

type Options = z.output<typeof SECURITY_GROUP_FENCE_OPTIONS>;

const CALL_MS = 5_000;

export class SecurityGroupFenceDevice implements FenceDevice {
  private readonly instances: Instances;
  private readonly imds: Imds;
  private readonly random: Random;
  /** The groups each interface had before it was isolated. */
  private readonly former = new Map<string, readonly string[]>();

  constructor(
    private readonly options: Options,
    private readonly context: FenceContext,
  ) {
    this.instances = context.service<Instances>(Instances);
    this.imds = context.service<Imds>(Imds);
    this.random = context.service<Random>(Random);
  }

  async fence({ node, signal, tell }: FenceRequest): Promise<{ readonly evidence: string }> {
    const ids = this.interfacesOf(node);
    const { clock } = this.context;
    const pace = new Pace(clock, this.random);
    const limits: CallLimits = { signal, timeoutMs: CALL_MS };
    let since: { readonly sentMs: number; readonly first: string } | null = null;
    let seen = 'nothing';
    let fit = false;
    let after: 'answer' | 'failure' = 'answer';
    try {
      for (;;) {
        signal.throwIfAborted();
        try {
          if (!fit) {
            await this.refuseUnfit(node, limits);
            await this.refuseSelf(node, await this.instances.interfaces(ids, limits), signal);
            fit = true;
          }
          const sentMs = clock.nowMs();
          const found = await this.instances.interfaces(ids, limits);
          const open = found.filter((eni) => !this.isolated(eni));
          seen = `${words(found)} at ${clock.wallIso(sentMs)}`;
          tell?.(words(found));
          if (open.length > 0) since = null;
          else {
            since ??= { sentMs, first: seen };
            if (sentMs - since.sentMs >= this.options.settle)
              return {
                evidence: `no new connections to or from ${node}; open ones that are tracked may go on. DescribeNetworkInterfaces said ${since.first} and ${seen}. Before: ${this.formerWords(ids)}`,
              };
          }
          for (const eni of open) {
            this.former.set(eni.id, eni.groups);
            this.context.log.info('an interface gets the isolation group', { node, eni: eni.id, former: eni.groups });
            await this.instances.setGroups(eni.id, [this.options.group], limits);
          }
          after = 'answer';
        } catch (thrown) {
          if (!(thrown instanceof Ec2Failure)) throw thrown;
          if (thrown.final) throw refused(node, thrown.message, thrown);
          seen = thrown.message;
          tell?.(seen);
          after = 'failure';
        }
        await pace.wait(after, signal);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
      throw new UnderstudyError('TIMED_OUT', `${node} is not confirmed isolated: its interfaces were last seen: ${seen}`, {
        cause: thrown,
      });
    }
  }

  async check(signal: AbortSignal): Promise<string | null> {
    const limits: CallLimits = { signal, timeoutMs: CALL_MS };
    for (const { id: node } of this.context.nodes) {
      if (node === this.context.node) continue;
      try {
        const ids = this.interfacesOf(node);
        await this.refuseUnfit(node, limits);
        await this.refuseSelf(node, await this.instances.interfaces(ids, limits), signal);
        for (const id of ids) await this.instances.setGroups(id, [this.options.group], { ...limits, dryRun: true });
      } catch (thrown) {
        return reasonOf(thrown);
      }
    }
    return null;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private interfacesOf(node: string): readonly string[] {
    if (node === this.context.node) throw refused(node, 'a node does not isolate itself');
    const ids = this.options.interfaces[node];
    if (ids === undefined) throw refused(node, `no interface is named for it: interfaces: { ${node}: [eni-…] }`);
    return ids;
  }

  /** A group with a rule isolates nobody, and a new one has a rule: everything may go out. */
  private async refuseUnfit(node: string, limits: CallLimits): Promise<void> {
    const { id, inbound, outbound } = await this.instances.securityGroup(this.options.group, limits).catch((thrown: unknown) => {
      throw thrown instanceof Ec2Failure && thrown.final ? refused(node, thrown.message, thrown) : thrown;
    });
    if (inbound + outbound > 0)
      throw refused(node, `${id} has ${inbound} inbound and ${outbound} outbound rules: an isolation group has none`);
  }

  /** Also: an ENI nobody listed would keep the node on the network, so every ENI of the instance must be among them. */
  private async refuseSelf(node: string, found: readonly GroupedInterface[], signal: AbortSignal): Promise<void> {
    const own = await this.imds.instance(signal);
    const instances = [...new Set(found.flatMap(({ instance }) => instance ?? []))];
    if (instances.includes(own))
      throw refused(node, `${words(found)} belong to the instance this runs on: the ids under interfaces: are mixed up`);
    for (const instance of instances) {
      const all = await this.instances.interfacesOf(instance, { signal, timeoutMs: CALL_MS });
      const missed = all.filter(({ id }) => !found.some((eni) => eni.id === id)).map(({ id }) => id);
      if (missed.length > 0) throw refused(node, `${instance} also has ${missed.join(', ')}, which would stay connected: list every ENI`);
    }
  }

  private isolated({ groups }: GroupedInterface): boolean {
    return groups.length === 1 && groups[0] === this.options.group;
  }

  private formerWords(ids: readonly string[]): string {
    return ids.map((id) => `${id} had ${this.former.get(id)?.join(', ') ?? 'the isolation group already'}`).join('; ');
  }
}

const words = (found: readonly GroupedInterface[]): string =>
  found.map(({ id, groups }) => `${id} ${groups.join('+') || 'no group'}`).join(', ');

const refused = (node: string, why: string, cause?: unknown): UnderstudyError =>
  new UnderstudyError('REFUSED', `fence security-group does not isolate ${node}: ${why}`, cause === undefined ? {} : { cause });
