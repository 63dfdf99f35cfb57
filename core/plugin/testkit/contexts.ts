// Contexts for tests of agents: what the scheduler would give, made by hand. Small real implementations, not mocks.
// Invariant: no command runs unless the test hands over an Exec that runs it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnderstudyError } from '../../errors/errors.js';
import type { Exec, RunOptions } from '../../system/exec.js';
import type { ActionContext, Agent, Log, MonitorContext, MonitorResult } from '../contract.js';

export interface MakeContextOptions<Options> extends Partial<Omit<ActionContext<Options>, 'options'>> {
  /** As the agent's schema parsed them. */
  readonly options: Options;
  /** Runs the agent's commands; without it every command fails with its own text. */
  readonly exec?: Exec;
  /** A lease the test can take away. Default: held, and never near its end. */
  readonly lease?: { held: boolean; remainingMs: number };
}

export const silentLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export const makeMonitorContext = <Options>(made: MakeContextOptions<Options>): MonitorContext<Options> => {
  const limitMs = made.limitMs ?? 10_000;
  const signal = made.signal ?? new AbortController().signal;
  return {
    node: made.node ?? 'a',
    group: made.group ?? 'group',
    resource: made.resource ?? 'resource',
    options: made.options,
    active: made.active ?? true,
    signal,
    limitMs,
    run: made.run ?? runBy(made.exec, limitMs, signal),
    log: made.log ?? silentLog,
    cgroup: made.cgroup ?? null,
    runDir: made.runDir ?? join(scratch(), made.resource ?? 'resource'),
  };
};

export const makeActionContext = <Options>(made: MakeContextOptions<Options>): ActionContext<Options> => {
  const lease = made.lease ?? { held: true, remainingMs: Number.POSITIVE_INFINITY };
  const monitor = makeMonitorContext(made);
  const epoch = made.epoch ?? 1;
  return {
    ...monitor,
    epoch,
    checkLease:
      made.checkLease ??
      ((reserveMs = 0) => {
        if (!lease.held || lease.remainingMs < reserveMs)
          throw new UnderstudyError('REFUSED', `the lease of ${monitor.group} is not held with ${reserveMs} ms left`);
      }),
    leaseRemainingMs: made.leaseRemainingMs ?? (() => (lease.held ? lease.remainingMs : 0)),
    environment: made.environment ?? {
      UNDERSTUDY_CLUSTER: 'test',
      UNDERSTUDY_NODE: monitor.node,
      UNDERSTUDY_GROUP: monitor.group,
      UNDERSTUDY_EPOCH: String(epoch),
      UNDERSTUDY_RESOURCE: `${monitor.group}/${monitor.resource}`,
    },
    logFile: made.logFile ?? join(scratch(), `${monitor.resource}.log`),
  };
};

/** One monitor as the scheduler takes it: a word becomes a result, a throw becomes `unknown`. */
export const monitorOnce = async <Options>(agent: Agent<Options>, context: MonitorContext<Options>): Promise<MonitorResult> => {
  try {
    const result = await agent.monitor(context);
    return typeof result === 'string' ? { state: result } : result;
  } catch (error) {
    return { state: 'unknown', reason: error instanceof Error ? error.message : String(error) };
  }
};

const runBy =
  (exec: Exec | undefined, limitMs: number, signal: AbortSignal): MonitorContext<unknown>['run'] =>
  async (file, args, { okExit = [0], ...options } = {}) => {
    const command = [file, ...args].join(' ');
    if (exec === undefined)
      throw new UnderstudyError('COMMAND_FAILED', `${command}: this test runs no commands; give makeMonitorContext an exec`);
    const result = await exec.run(file, args, { timeoutMs: limitMs, signal, ...options } satisfies RunOptions);
    if (result.exitCode === null || !okExit.includes(result.exitCode)) {
      throw new UnderstudyError(
        'COMMAND_FAILED',
        `${command} ended with ${result.exitCode ?? result.signal ?? 'no status'}: ${result.stderr.trim() || result.stdout.trim()}`,
      );
    }
    return result;
  };

let directory: string | undefined;
/** One directory for the whole process, removed when it ends. */
const scratch = (): string => {
  if (directory === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'understudy-test-'));
    directory = made;
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  }
  return directory;
};
