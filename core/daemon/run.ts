// `understudy run`: guard, controller, leash and plugins' processes of one node, supervised, where there is no systemd (containers, the lab,
// Windows). Each is a child in a session of its own and is started again when it ends; ending `run` ends these and
// nothing else: applications run on, and the next `run` adopts them.
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { stderrLog } from '../log/stderr-log.js';
import type { Log } from '../plugin/contract.js';
import { writeAtomicSync } from '../system/atomic-file.js';
import { readJson } from '../system/files.js';
import { systemFiles } from '../system/files-system.js';
import { type Clock, systemClock, type Timer } from '../system/clock.js';
import type { Paths } from '../system/paths.js';
import { readStat } from '../system/process.js';
import type { Timing } from '../model/timing.js';
import { loadGuardConfig } from './guard-config.js';
import { leashReset } from './reset-host.js';
import { type DaemonOptions, levelOf, nodeOf, pathsOf, wordsOf } from './options.js';
import { type ProcessChoice, processName, processWords } from './process-words.js';

/** One supervised process. */
export interface ChildPlan {
  /** `guard`, `controller`, `leash`, or of a plugin's process. */
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Supervised {
  /** Pids of the children that run now. */
  readonly pids: Readonly<Record<string, number | null>>;
  stop(): Promise<void>;
}

const RESTART_MS = 100;
/** What has run for a while is started again at once: a guard's deadline runs. */
const [RAN_WELL_MS, RESTART_SOON_MS] = [2000, 10];
/** A config that is wrong is not right 100 ms later. */
const MAX_BACKOFF_MS = 10_000;
/** Exit status 2: usage or configuration. */
const CONFIG_ERROR = 2;
const TERM_MS = 5000;
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024;

/** Daemons idle: a small young generation costs them nothing and saves 10 MB each. */
const SMALL_HEAP = '--max-semi-space-size=1';
/** What the controller's first compilation frees goes back to the system: 19 MB of glibc's heap. Read by glibc alone. */
const SMALL_MALLOC = { MALLOC_MMAP_THRESHOLD_: '8192' };

const besides = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The processes of a node. Windows has no leash of this kind. */
export const childPlans = (
  options: DaemonOptions,
  paths: Paths,
  { selfFenceMs, stopBudgetMs }: Timing,
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  processes: readonly ProcessChoice[] = [],
): readonly ChildPlan[] => {
  const words = wordsOf({ ...options, runDir: paths.run, stateDir: paths.state, logDir: paths.log });
  const times = ['--self-fence-ms', String(selfFenceMs), '--stop-budget-ms', String(stopBudgetMs)];
  const leash: ChildPlan = {
    name: 'leash',
    file: '/bin/sh',
    args: [besides('../guard/leash.sh'), '--run-dir', paths.run, ...times, '--reset-command', leashReset(env)],
  };
  return [
    { name: 'guard', file: process.execPath, args: [SMALL_HEAP, besides('./guard-process.js'), ...words] },
    ...(platform === 'win32' ? [] : [leash]),
    ...processes.map((which) => ({
      name: processName(which),
      file: process.execPath,
      args: [besides('./plugin-process-process.js'), ...processWords(which), ...words],
    })),
    { name: 'controller', file: process.execPath, args: [SMALL_HEAP, besides('./controller-process.js'), ...words], env: SMALL_MALLOC },
  ];
};

/** Starts and keeps them until `stop`. Children that an earlier `run` left behind are ended first: two of a kind are never right. */
export const supervise = (plans: readonly ChildPlan[], paths: Paths, log: Log, clock: Clock = systemClock): Supervised => {
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  mkdirSync(paths.log, { recursive: true, mode: 0o700 });
  const record = join(paths.run, 'supervised.json');
  endLeftovers(record, log);
  const children = plans.map((plan) => new Child(plan, paths, log, clock, () => remember(record, children, log)));
  for (const child of children) child.start();
  return {
    get pids() {
      return Object.fromEntries(children.map(({ plan, pid }) => [plan.name, pid]));
    },
    stop: async () => {
      await Promise.all(children.map((child) => child.stop()));
    },
  };
};

/** The supervisor as a daemon. */
export const startRun = async (options: DaemonOptions): Promise<{ stop(): Promise<void> }> => {
  const paths = pathsOf(options);
  const log = stderrLog({ component: 'run', level: levelOf(options), wallIso: systemClock.wallIso });
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  const { config, processes } = await loadGuardConfig(options, paths, process.env);
  // Only where there are any: a supervisor that knows no node must be able to start what says so itself.
  const node = processes.length === 0 ? null : nodeOf(config, options);
  const own = processes.filter(({ nodes }) => node !== null && nodes.includes(node));
  const supervised = supervise(childPlans(options, paths, config.timing, process.env, process.platform, own), paths, log);
  return {
    stop: async () => {
      process.stderr.write(
        'understudy run ends; what it started runs on, and the next run adopts it. To move it away first: understudy standby NODE --wait\n',
      );
      await supervised.stop();
    },
  };
};

class Child {
  pid: number | null = null;
  startTime = '';
  private timer: Timer | null = null;
  private delayMs = RESTART_MS;
  private startedMs = 0;
  private ending = false;
  private ended: () => void = () => undefined;

  constructor(
    readonly plan: ChildPlan,
    private readonly paths: Paths,
    private readonly log: Log,
    private readonly clock: Clock,
    private readonly changed: () => void,
  ) {}

  start(): void {
    this.timer = null;
    if (this.ending) return;
    const out = this.openOutput();
    // A session of its own: a signal to the supervisor's terminal is none to the guard.
    const child = spawn(this.plan.file, this.plan.args, {
      detached: true,
      env: { ...process.env, ...this.plan.env },
      stdio: ['ignore', out ?? 'ignore', out ?? 'ignore'],
      windowsHide: true,
    });
    if (out !== null) closeSync(out);
    child.once('error', (error) => this.gone(`could not be started: ${reasonOf(error)}`, null));
    child.once('exit', (code, signal) => this.gone(`ended with ${code ?? signal}`, code));
    this.startedMs = this.clock.nowMs();
    this.pid = child.pid ?? null;
    this.startTime = this.pid === null ? '' : (readStat(this.pid)?.startTime ?? '');
    this.changed();
  }

  /** Output goes to a file, never to a pipe: it must outlive the supervisor. A full disk costs the output, not the child. */
  private openOutput(): number | null {
    const path = join(this.paths.log, `${this.plan.name}.out`);
    try {
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (size > MAX_OUTPUT_BYTES) renameSync(path, `${path}.1`);
      return openSync(path, 'a', 0o640);
    } catch (error) {
      this.log.warn(`the output of ${this.plan.name} is not kept`, { path, reason: reasonOf(error) });
      return null;
    }
  }

  async stop(): Promise<void> {
    this.ending = true;
    this.timer?.cancel();
    if (this.pid === null) return;
    await new Promise<void>((resolve) => {
      const late = this.clock.after(TERM_MS, () => this.kill('SIGKILL'));
      this.ended = () => {
        late.cancel();
        resolve();
      };
      this.kill('SIGTERM');
    });
  }

  private kill(signal: NodeJS.Signals): void {
    if (this.pid !== null) sendSignal(this.pid, signal);
  }

  private gone(because: string, code: number | null): void {
    if (this.pid === null && this.timer !== null) return;
    this.pid = null;
    this.changed();
    this.ended();
    if (this.ending) return;
    const ranWell = this.clock.nowMs() - this.startedMs >= RAN_WELL_MS;
    this.delayMs = code === CONFIG_ERROR ? Math.min(MAX_BACKOFF_MS, this.delayMs * 2) : ranWell ? RESTART_SOON_MS : RESTART_MS;
    this.log.warn(`${this.plan.name} ${because}`, { againInMs: this.delayMs, output: join(this.paths.log, `${this.plan.name}.out`) });
    this.timer = this.clock.after(this.delayMs, () => this.start());
  }
}

/** For the next `run`, should this one be killed. A power cut of the lab takes the directory away under us. */
const remember = (record: string, children: readonly Child[], log: Log): void => {
  const running = children.flatMap(({ plan: { name }, pid, startTime }) => (pid === null ? [] : [{ name, pid, startTime }]));
  try {
    writeAtomicSync(record, JSON.stringify(running), { fsync: false });
  } catch (error) {
    log.warn('the children are not on record', { record, reason: reasonOf(error) });
  }
};

const endLeftovers = (record: string, log: Log): void => {
  const found = readJson(systemFiles, record);
  if (found.kind !== 'read' || !Array.isArray(found.value)) return;
  for (const { name, pid, startTime } of found.value as { name: string; pid: number; startTime: string }[]) {
    if (startTime === '' || readStat(pid)?.startTime !== startTime) continue;
    log.info(`ending the ${name} that an earlier run left`, { pid });
    sendSignal(pid, 'SIGKILL');
  }
};

const sendSignal = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH')
      throw new UnderstudyError('COMMAND_FAILED', `cannot send ${signal} to ${pid}: ${reasonOf(error)}`, { cause: error });
  }
};
