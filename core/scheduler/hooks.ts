// Runs the hooks of a group: pre, normal, post, then config order, one at a time in each group, each with its time. What a
// failing hook means is its own `onFailure`; what follows from that is the planner's. The same order is what
// `understudy hooks list` prints.
import { inject, injectable } from 'tsyringe';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { Journal } from '../journal/journal.js';
import { type DesiredGroup, type DesiredHook, HOOK_POINTS, type HookPoint } from '../model/desired.js';
import type { Epoch, NodeId, ResourceId } from '../model/ids.js';
import { UNPRINTABLE } from '../model/unprintable.js';
import type { HookContext, HookDefinition } from '../plugin/contract.js';
import { Clock } from '../system/clock.js';
import { Exec } from '../system/exec.js';
import { bounded } from './deadline.js';
import { Logs, Self } from './ports.js';

/** Function hooks of plugins, by point. The registry is one. */
export interface HookSource {
  hooks(point: HookPoint): readonly { readonly plugin: string; readonly definition: HookDefinition }[];
}
export const HookSource: unique symbol = Symbol('HookSource');

/** What a hook is told about the moment. */
export interface Moment {
  readonly resource?: ResourceId;
  readonly epoch: Epoch;
  readonly from: NodeId | null;
  readonly to: NodeId | null;
  readonly incident: string | null;
  readonly because: string;
  /** What this node is to the group. */
  readonly role: 'active' | 'standby';
}

/** `abort` and `fault`: the reason of the first hook that failed with that `onFailure`, else null. */
export interface HooksOutcome {
  readonly ran: number;
  readonly abort: string | null;
  readonly fault: string | null;
}

export interface ListedHook {
  readonly point: HookPoint;
  readonly position: number;
  readonly name: string;
  readonly order: DesiredHook['order'];
  readonly timeoutMs: number;
  readonly onFailure: DesiredHook['onFailure'];
  readonly on: DesiredHook['on'];
  readonly platform: DesiredHook['platform'];
  readonly runsHere: boolean;
}

const RANK = { pre: 0, normal: 1, post: 2 } as const;
/** Hooks that may wait for their turn in one group; what comes then is dropped and journaled. */
const MAX_WAITING = 64;

@injectable()
export class Hooks {
  private readonly tails = new Map<string, { tail: Promise<unknown>; waiting: number }>();

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Exec) private readonly exec: Exec,
    @inject(Journal) private readonly journal: Journal,
    @inject(HookSource) private readonly source: HookSource,
    @inject(Self) private readonly self: Self,
    @inject(Logs) private readonly logs: Logs,
  ) {}

  /** Every hook of a point in the order in which they run, those for other platforms included. */
  ordered(group: DesiredGroup, point: HookPoint): readonly DesiredHook[] {
    return group.hooks.filter((hook) => hook.point === point).sort((one, other) => RANK[one.order] - RANK[other.order]);
  }

  list(group: DesiredGroup): readonly ListedHook[] {
    return HOOK_POINTS.flatMap((point) =>
      this.ordered(group, point).map(({ name, order, timeoutMs, onFailure, on, platform }, index) => ({
        point,
        position: index + 1,
        name,
        order,
        timeoutMs,
        onFailure,
        on,
        platform,
        runsHere: this.fits(platform),
      })),
    );
  }

  /** Whether anything would run: without hooks an action does not even wait a turn for them. */
  any(group: DesiredGroup, point: HookPoint, role: Moment['role']): boolean {
    return this.due(group, point, role).length > 0;
  }

  /** Runs them one after another, behind whatever hooks of the group run already. Never rejects. */
  run(group: DesiredGroup, point: HookPoint, moment: Moment): Promise<HooksOutcome> {
    const due = this.due(group, point, moment.role);
    if (due.length === 0) return Promise.resolve({ ran: 0, abort: null, fault: null });
    const queue = this.tails.get(group.id) ?? { tail: Promise.resolve(), waiting: 0 };
    if (queue.waiting >= MAX_WAITING) {
      const reason = `${queue.waiting} hooks of ${group.id} wait already`;
      this.note('hook.failed', group, due[0]!, moment, { reason, dropped: due.length });
      return Promise.resolve({ ran: 0, abort: point.startsWith('before') ? reason : null, fault: null });
    }
    queue.waiting += 1;
    const outcome = queue.tail.then(() => this.runAll(group, due, moment)).finally(() => (queue.waiting -= 1));
    queue.tail = outcome;
    this.tails.set(group.id, queue);
    return outcome;
  }

  private due(group: DesiredGroup, point: HookPoint, role: Moment['role']): readonly DesiredHook[] {
    return this.ordered(group, point).filter((hook) => this.fits(hook.platform) && (hook.on === 'all' || hook.on === role));
  }

  private fits(platform: DesiredHook['platform']): boolean {
    return platform === 'any' || platform === this.self.platform;
  }

  private async runAll(group: DesiredGroup, due: readonly DesiredHook[], moment: Moment): Promise<HooksOutcome> {
    let fault: string | null = null;
    for (const [index, hook] of due.entries()) {
      const outcome = await bounded((signal) => this.runOne(group, hook, moment, signal), {
        clock: this.clock,
        limitMs: hook.timeoutMs,
        graceMs: 1000,
      });
      if (outcome.kind === 'value') {
        this.note('hook.done', group, hook, moment, { elapsedMs: outcome.elapsedMs, ...outcome.value });
        continue;
      }
      const reason = `${hook.point} hook ${hook.name}: ${reasonOf(outcome.error)}`;
      this.note('hook.failed', group, hook, moment, { elapsedMs: outcome.elapsedMs, reason });
      this.logs
        .child('hooks')
        .warn('hook failed', { group: group.id, point: hook.point, hook: hook.name, reason, onFailure: hook.onFailure });
      if (hook.onFailure === 'fault') fault ??= reason;
      if (hook.onFailure === 'abort') return { ran: index + 1, abort: reason, fault };
    }
    return { ran: due.length, abort: null, fault };
  }

  private async runOne(group: DesiredGroup, hook: DesiredHook, moment: Moment, signal: AbortSignal): Promise<Record<string, unknown>> {
    const { resource = null, epoch, from, to, incident, because } = moment;
    const { run, point } = hook;
    if (run.kind === 'plugin') {
      const found = this.source.hooks(point).find(({ plugin }) => plugin === run.plugin);
      if (found === undefined) throw new UnderstudyError('PLUGIN_INVALID', `no plugin ${run.plugin} contributes a hook for ${point}`);
      const log = this.logs.child(`hook ${run.plugin}`);
      const context: HookContext = {
        point,
        cluster: this.self.cluster,
        node: this.self.node,
        group: group.id,
        resource,
        epoch,
        from,
        to,
        incident,
        because,
        signal,
        log,
      };
      await found.definition.run(context);
      return {};
    }
    const [file, ...args] = run.argv;
    if (file === undefined) throw new UnderstudyError('CONFIG_INVALID', `the hook ${hook.name} names no program`);
    const result = await this.exec.run(file, args, {
      timeoutMs: hook.timeoutMs,
      signal,
      trustedOnly: true,
      addEnv: hookEnvironment(this.self, group.id, point, moment),
    });
    if (result.timedOut || result.aborted)
      throw new UnderstudyError('TIMED_OUT', `it was ended, with its whole process group, after ${hook.timeoutMs} ms`);
    const output = printable((result.stderr || result.stdout).trim().slice(0, 500));
    if (result.exitCode !== 0)
      throw new UnderstudyError(
        'COMMAND_FAILED',
        `it ${result.exitCode === null ? `was ended by ${result.signal ?? 'a signal'}` : `exited with ${result.exitCode}`}${output === '' ? '' : `: ${output}`}`,
      );
    return output === '' ? {} : { output };
  }

  private note(
    kind: 'hook.done' | 'hook.failed',
    group: DesiredGroup,
    hook: DesiredHook,
    moment: Moment,
    data: Record<string, unknown>,
  ): void {
    this.journal.write({
      kind,
      group: group.id,
      epoch: moment.epoch,
      because: moment.because,
      data: { point: hook.point, hook: hook.name, onFailure: hook.onFailure, ...data },
      ...(moment.resource === undefined ? {} : { resource: moment.resource }),
      ...(moment.incident === null ? {} : { incident: moment.incident }),
    });
  }
}

/** A script's words go into the journal, logs and terminals: nothing in them may end a line, move a cursor or turn the text around. */
const printable = (text: string): string => text.replaceAll(new RegExp(`${UNPRINTABLE.source}+`, 'gu'), ' ');

/** What a script is told, as it stands in docs/reference/hooks.md. An absent value is an empty text, never missing. */
export const hookEnvironment = (
  self: Pick<Self, 'cluster' | 'node'>,
  group: string,
  point: HookPoint,
  { resource, epoch, from, to, incident, because }: Moment,
): Record<string, string> => ({
  UNDERSTUDY_CLUSTER: self.cluster,
  UNDERSTUDY_NODE: self.node,
  UNDERSTUDY_GROUP: group,
  UNDERSTUDY_POINT: point,
  UNDERSTUDY_HOOK_RESOURCE: resource ?? '',
  UNDERSTUDY_FROM: from ?? '',
  UNDERSTUDY_TO: to ?? '',
  UNDERSTUDY_EPOCH: String(epoch),
  UNDERSTUDY_INCIDENT: incident ?? '',
  UNDERSTUDY_BECAUSE: because,
});

/** A group's hooks with those that plugins contribute to every group behind them. */
export const withPluginHooks = (hooks: readonly DesiredHook[], source: HookSource): readonly DesiredHook[] => {
  const named = new Set(hooks.flatMap(({ run, point }) => (run.kind === 'plugin' ? [`${point} ${run.plugin}`] : [])));
  const contributed = HOOK_POINTS.flatMap((point) =>
    source.hooks(point).map(({ plugin, definition }) => fromPlugin(point, plugin, definition)),
  );
  return [...hooks, ...contributed.filter(({ point, run }) => run.kind !== 'plugin' || !named.has(`${point} ${run.plugin}`))];
};

const fromPlugin = (
  point: HookPoint,
  plugin: string,
  { order = 'normal', limitMs, onFailure = 'ignore', on = 'active' }: HookDefinition,
): DesiredHook => ({
  point,
  name: `plugin:${plugin}`,
  run: { kind: 'plugin', plugin },
  order,
  timeoutMs: limitMs,
  onFailure,
  on,
  platform: 'any',
});
