// The agent behind app-script: an application with commands of its own. It believes processes, not exit statuses: a start
// must leave something that can be ended without it, a stop is done when nothing is left. It keeps no state that a new
// controller would miss: what an earlier life started is found by cgroup, mark, pidfile and the record of the main process.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { inject, injectable } from 'tsyringe';
import {
  type ActionContext,
  type ActionReport,
  type Agent,
  Cgroups,
  Clock,
  Exec,
  type MonitorContext,
  type MonitorResult,
  type Operation,
  Processes,
  type RunningProcess,
  type SideEffect,
  UnderstudyError,
  checkScript,
  trustOf,
} from 'understudy/plugin';
import { asWho, attempt, failed, inPlace, lastLine, sizeOf } from './commands.js';
import type { AppScriptOptions } from './definition.js';
import { Ending } from './ending.js';
import { stateOf } from './exit-codes.js';
import { isSeen, type Sight, Traces } from './traces.js';
import { endUnit, unitState } from './unit.js';

type Monitoring = MonitorContext<AppScriptOptions>;
type Acting = ActionContext<AppScriptOptions>;

const ANY_STATUS = Array.from({ length: 256 }, (_, status) => status);
/** What stop keeps back from its script for the kill and the proof. */
const KILL_MS = 2000;
const FAILED_START_MS = 2000;
const RESTART_SOON_MS = 100;
const FIRST_LOOK_MS = 10;
const LAST_LOOK_MS = 200;

@injectable()
export class AppScript implements Agent<AppScriptOptions> {
  private readonly traces: Traces;
  private readonly ending: Ending;
  /** Main processes that are children of this controller, by run directory: their exit is told without polling. */
  private readonly children = new Map<string, RunningProcess>();

  /** Run directories of those that are being stopped. */
  private readonly stopping = new Set<string>();

  constructor(
    @inject(Exec) private readonly exec: Exec,
    @inject(Clock) private readonly clock: Clock,
    @inject(Processes) private readonly processes: Processes,
    @inject(Cgroups) private readonly cgroups: Cgroups,
  ) {
    this.traces = new Traces(processes, cgroups);
    this.ending = new Ending(clock, processes, cgroups, this.traces);
  }

  async monitor(context: Monitoring): Promise<MonitorResult> {
    const { options } = context;
    const sight = this.traces.sight(context);
    if (options.monitor === undefined)
      return options.unit === undefined || sight === 'alive' ? bySight(sight, options) : unitState(context.run, options.unit);
    const [file, ...args] = options.monitor as readonly [string, ...string[]];
    const result = await context.run(file, args, {
      ...asWho(options),
      addEnv: { ...options.env, ...named(context) },
      okExit: ANY_STATUS,
    });
    const state = stateOf(result.exitCode ?? -1, options.exitCodes);
    const words = lastLine(result.stderr) || lastLine(result.stdout);
    const reason = `${file} exited with ${result.exitCode}${words === '' ? '' : `: ${words}`}`;
    if (state !== 'online') return { state, reason };
    if (isSeen(options) && sight !== 'alive') return { state: 'faulted', reason: `${file} says it serves, but ${MISSING[sight]}` };
    return { state, detail: { exitCode: result.exitCode } };
  }

  async start(context: Acting): Promise<ActionReport> {
    const { options } = context;
    const endMs = this.clock.nowMs() + context.limitMs;
    context.signal.throwIfAborted();
    const trust = trustOf(process.env);
    for (const words of [options.start, options.stop, options.monitor, options.clean])
      if (words !== undefined) checkScript(words[0] ?? '', trust);
    if (this.traces.any(context) || this.traces.main(context) !== null) {
      if ((await this.monitor(context)).state === 'online') return { detail: { found: 'already running' } };
      await this.mustEnd(context, 0, KILL_MS);
    }
    context.checkLease();
    mkdirSync(dirname(context.logFile), { recursive: true, mode: 0o750 });
    try {
      return options.mode === 'foreground' ? await this.startForeground(context, endMs) : await this.startFork(context);
    } catch (error) {
      // A start that failed half way leaves nothing behind, if it can be helped; stop will prove it.
      await this.ending.end(context, { graceMs: 0, limitMs: FAILED_START_MS });
      throw error;
    }
  }

  async stop(context: Acting): Promise<ActionReport> {
    this.stopping.add(context.runDir);
    try {
      return await this.endAll(context);
    } finally {
      this.stopping.delete(context.runDir);
    }
  }

  private async endAll(context: Acting): Promise<ActionReport> {
    const { options } = context;
    const endMs = this.clock.nowMs() + context.limitMs;
    const notes: string[] = [];
    if (options.stop !== undefined) {
      const reserveMs = Math.min(options.killAfter + KILL_MS, context.limitMs / 2);
      notes.push(...(await attempt(this.exec, 'stop', options.stop, context, context.limitMs - reserveMs)));
    }
    const leftMs = () => Math.max(KILL_MS / 4, endMs - this.clock.nowMs());
    if (options.unit !== undefined) notes.push(...(await endUnit(context.run, options.unit, leftMs() / 2)));
    await this.mustEnd(context, options.killAfter, leftMs());
    await this.mustBeOffline(context);
    this.traces.forget(context);
    if (context.cgroup !== null) this.cgroups.remove(context.cgroup);
    if (options.clean !== undefined) notes.push(...(await attempt(this.exec, 'clean', options.clean, context, leftMs())));
    return notes.length === 0 ? {} : { detail: { notes } };
  }

  async plan(op: Operation, { options, cgroup, group, resource }: Monitoring): Promise<readonly SideEffect[]> {
    const command = (words: readonly string[] | undefined): SideEffect[] =>
      words === undefined
        ? []
        : [{ kind: 'command', what: words.join(' '), ...(options.user === undefined ? {} : { on: `as ${options.user}` }) }];
    if (op === 'start') return command(options.start);
    if (op !== 'stop') return [];
    const whom = cgroup ?? `every process with UNDERSTUDY_RESOURCE=${group}/${resource}`;
    const unit: SideEffect[] = options.unit === undefined ? [] : [{ kind: 'command', what: `systemctl stop ${options.unit}` }];
    const kill: SideEffect = { kind: 'process', what: `SIGTERM, after ${options.killAfter} ms SIGKILL`, on: whom };
    return [...command(options.stop), ...unit, kill, ...command(options.clean)];
  }

  watch(context: Monitoring, told: () => void): () => void {
    const ends: (() => void)[] = [];
    // When it ends and nobody stops it, a new start is likely to be next.
    const changed = () => {
      if (!this.stopping.has(context.runDir)) this.cgroups.keepReady(RESTART_SOON_MS);
      told();
    };
    if (context.cgroup !== null && this.cgroups.populated(context.cgroup)) ends.push(this.cgroups.watch(context.cgroup, changed));
    const main = this.traces.main(context);
    const child = this.children.get(context.runDir);
    if (main !== null && child?.pid === main.pid) {
      let over = false;
      void child.exited.then(() => over || changed());
      ends.push(() => (over = true));
    } else if (main !== null) ends.push(this.processes.watch(main, changed));
    // It may have died between the look and this watch: then no event will ever come.
    if (isSeen(context.options) && this.traces.sight(context) !== 'alive') ends.push(this.soon(changed));
    return () => ends.forEach((end) => end());
  }

  private soon(changed: () => void): () => void {
    const timer = this.clock.after(0, changed, { idle: true });
    return () => timer.cancel();
  }

  private async startFork(context: Acting): Promise<ActionReport> {
    const { options, logFile, limitMs, signal } = context;
    const [file, ...args] = options.start as readonly [string, ...string[]];
    const logAt = sizeOf(logFile);
    const result = await this.exec.run(file, args, { ...inPlace(context), timeoutMs: limitMs, signal });
    if (result.timedOut || result.aborted)
      throw new UnderstudyError('TIMED_OUT', `${file} was still starting after ${Math.round(result.elapsedMs)} ms`);
    if (result.exitCode !== 0) throw failed(`${file} exited with ${result.exitCode ?? result.signal}`, logFile, logAt);
    const main = this.traces.pidfile(context);
    if (main !== null) this.traces.record(context, main);
    const leftTrace = main !== null || options.unit !== undefined || options.hardStop.length > 0 || this.traces.any(context);
    if (!leftTrace) {
      const where = context.cgroup === null ? 'with its mark' : 'in its cgroup';
      throw failed(
        `${file} succeeded but left no process ${where}: nobody could end the application for certain; name its unit:, pidfile: or hardStop:`,
        logFile,
        logAt,
      );
    }
    return { detail: { elapsedMs: Math.round(result.elapsedMs), ...(main === null ? {} : { pid: main.pid }) } };
  }

  private async startForeground(context: Acting, endMs: number): Promise<ActionReport> {
    const { options, logFile, signal } = context;
    const [file, ...args] = options.start as readonly [string, ...string[]];
    const logAt = sizeOf(logFile);
    const child = await this.exec.start(file, args, { ...inPlace(context) });
    this.traces.record(context, child);
    this.children.set(context.runDir, child);
    let gone: string | null = null;
    void child.exited.then(({ exitCode, signal: by }) => {
      gone = exitCode === null ? `was ended by ${by}` : `exited with ${exitCode}`;
      if (this.children.get(context.runDir) === child) this.children.delete(context.runDir);
    });
    const serving = async () => options.monitor === undefined || (await this.monitor(context)).state === 'online';
    for (let waitMs = options.monitor === undefined ? options.settle : FIRST_LOOK_MS; ; waitMs = Math.min(waitMs * 1.5, LAST_LOOK_MS)) {
      await Promise.race([this.clock.sleep(waitMs, signal), child.exited]);
      if (gone !== null) throw failed(`${file} ${gone as string} instead of serving`, logFile, logAt);
      if (await serving()) return { detail: { pid: child.pid } };
      if (this.clock.nowMs() >= endMs) throw failed(`${file} runs but does not serve`, logFile, logAt);
    }
  }

  private async mustEnd(context: Acting, graceMs: number, limitMs: number): Promise<void> {
    const left = await this.ending.end(context, { graceMs, limitMs, signal: context.signal });
    if (left.length === 0) return;
    throw new UnderstudyError(
      'AGENT_FAILED',
      `processes of ${context.group}/${context.resource} could not be ended: ${left.map(({ pid }) => pid).join(' ')}`,
      {
        hint: 'They hang in the kernel (see /proc/PID/stack). Only a reset of this node ends them.',
      },
    );
  }

  /** Where processes are no proof (the application lives in a unit, or elsewhere), unit and monitor are asked. */
  private async mustBeOffline(context: Acting): Promise<void> {
    const { options, group, resource } = context;
    if (options.unit !== undefined) {
      const { state, reason } = await unitState(context.run, options.unit);
      if (state !== 'offline')
        throw new UnderstudyError('AGENT_FAILED', `${group}/${resource}: the unit ${options.unit} is not stopped: ${reason ?? state}`);
    }
    if (isSeen(options) || options.monitor === undefined) return;
    const { state, reason } = await this.monitor(context);
    if (state === 'online' || state === 'unknown') {
      throw new UnderstudyError(
        'AGENT_FAILED',
        `${group}/${resource} was stopped, but its monitor says ${state}${reason === undefined ? '' : ` (${reason})`}`,
      );
    }
  }
}

const MISSING: Readonly<Record<Exclude<Sight, 'alive'>, string>> = {
  gone: 'none of its processes is left: something else answers',
  headless: 'its main process has gone',
  foreign: 'its pidfile names a process that is not its own',
};

const bySight = (sight: Sight, { pidfile }: AppScriptOptions): MonitorResult => {
  switch (sight) {
    case 'alive':
      return { state: 'online' };
    case 'gone':
      return { state: 'offline' };
    case 'headless':
      return { state: 'faulted', reason: 'its main process has gone, others are left' };
    case 'foreign':
      return { state: 'unknown', reason: `${pidfile} names a living process, but nothing shows that it is this application` };
  }
};

/** For monitors: who asks, without the mark by which the application's own processes are found. */
const named = ({ node, group }: Monitoring) => ({ UNDERSTUDY_NODE: node, UNDERSTUDY_GROUP: group });
