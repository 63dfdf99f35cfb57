// The contract suite of agents: what the scheduler relies on, whatever the agent does. Built-in agents and users' run the
// same. For AVA: `agentContract(test, 'my-agent', async () => ({ definition, agent, options, world }))`.
import { mkdirSync } from 'node:fs';
import { setTimeout as later } from 'node:timers/promises';
import type { z } from 'zod';
import type { ActionContext, Agent, AgentDefinition, MonitorResult } from '../contract.js';
import { makeActionContext, type MakeContextOptions, makeMonitorContext, monitorOnce } from './contexts.js';

/** The part of a test runner the suites need; AVA's `test` is one. */
export type ContractTest = (title: string, body: (t: ContractAssertions) => Promise<void>) => void;
export interface ContractAssertions {
  true(actual: unknown, message?: string): unknown;
  is(actual: unknown, expected: unknown, message?: string): unknown;
  deepEqual(actual: unknown, expected: unknown, message?: string): unknown;
}

/** One agent with a world of its own. Made anew for each test. */
export interface AgentUnderTest<Options = unknown> {
  readonly definition: Pick<AgentDefinition<z.ZodType<Options>>, 'operations' | 'hardStop'>;
  readonly agent: Agent<Options>;
  /** As its schema parsed them. */
  readonly options: Options;
  /** What the agent changes, as data that can be compared. */
  readonly world: () => unknown;
  /** Parts of the context that are not the test kit's own: exec, run, lease, cgroup … */
  readonly context?: Partial<Omit<MakeContextOptions<Options>, 'options'>>;
  /** Makes what the agent asks unreachable or throttled: monitor must then be `unknown`. */
  readonly breakDependency?: () => unknown;
  readonly end?: () => unknown;
}

/** Longer than any well-made agent takes to notice an abort. */
const SETTLE_MS = 10_000;
const STATES = ['online', 'offline', 'faulted', 'unknown'];

export const agentContract = <Options>(
  test: ContractTest,
  name: string,
  make: () => AgentUnderTest<Options> | Promise<AgentUnderTest<Options>>,
): void => {
  const situation = (title: string, body: (t: ContractAssertions, subject: Subject<Options>) => Promise<void>) =>
    test(`${name}: ${title}`, async (t) => {
      const made = await make();
      try {
        await body(t, subjectOf(made));
      } finally {
        await made.end?.();
      }
    });

  situation('monitor changes nothing, stopped or running', async (t, { made, start, monitor }) => {
    const stopped = await made.world();
    t.true(STATES.includes((await monitor()).state));
    t.deepEqual(await made.world(), stopped);
    if (!(await start())) return;
    const running = await made.world();
    await monitor();
    await monitor();
    t.deepEqual(await made.world(), running);
  });

  situation('start, and start again: online both times, and the world is the same', async (t, { made, start, monitor }) => {
    if (!(await start())) return notApplicable(t);
    t.is((await monitor()).state, 'online');
    const once = await made.world();
    await start();
    t.is((await monitor()).state, 'online');
    t.deepEqual(await made.world(), once);
  });

  situation('stop, and stop again: offline both times', async (t, { start, stop, monitor }) => {
    await start();
    for (let time = 0; time < 2; time += 1) {
      if (!(await stop())) return notApplicable(t);
      t.is((await monitor()).state, 'offline');
    }
  });

  situation('stop when never started: succeeds, changes nothing', async (t, { made, stop, monitor }) => {
    const before = await made.world();
    if (!(await stop())) return notApplicable(t);
    t.is((await monitor()).state, 'offline');
    t.deepEqual(await made.world(), before);
  });

  situation('monitor while starting: an answer, and the start is not disturbed', async (t, { made, start, monitor }) => {
    if (made.agent.start === undefined) return notApplicable(t);
    const starting = start();
    t.true(STATES.includes((await monitor()).state));
    await starting;
    t.is((await monitor()).state, 'online');
  });

  for (const [when, afterMs] of [
    ['before it began', 0],
    ['in the middle', 5],
  ] as const) {
    situation(`start aborted ${when}: it ends, and a stop then makes it offline`, async (t, { made, stop, monitor, action }) => {
      if (made.agent.start === undefined) return notApplicable(t);
      const abort = new AbortController();
      if (afterMs === 0) abort.abort(new Error('the deadline of this test'));
      const starting = settled(made.agent.start(action({ signal: abort.signal })));
      if (afterMs > 0) setTimeout(() => abort.abort(new Error('the deadline of this test')), afterMs);
      t.true(await starting, `start did not end within ${SETTLE_MS} ms of its abort`);
      if (await stop()) t.is((await monitor()).state, 'offline');
    });
  }

  situation('the dependency fails: monitor is unknown, never offline or faulted', async (t, { made, start, monitor }) => {
    if (made.breakDependency === undefined) return notApplicable(t);
    await start();
    await made.breakDependency();
    t.is((await monitor()).state, 'unknown');
  });

  situation('plan and hardStop: say what would be done and do nothing', async (t, { made, action }) => {
    const before = await made.world();
    const effects = await made.agent.plan?.('start', makeMonitorContext({ ...made.context, options: made.options }));
    if (effects !== undefined) t.true(effects.every(({ kind, what }) => kind.length > 0 && what.length > 0));
    const { cgroup, runDir, group, resource } = action();
    const lines = () =>
      made.definition.hardStop?.({
        options: made.options,
        group,
        resource,
        cgroup,
        runDir,
        addressLine: (card, address, length) => `address ${card} ${address}/${length}`,
      }) ?? [];
    t.deepEqual(lines(), lines());
    t.true(lines().every((line) => typeof line === 'string' && line !== ''));
    t.deepEqual(await made.world(), before);
  });
};

interface Subject<Options> {
  readonly made: AgentUnderTest<Options>;
  /** False when the agent has no such operation. */
  readonly start: () => Promise<boolean>;
  readonly stop: () => Promise<boolean>;
  readonly monitor: () => Promise<MonitorResult>;
  readonly action: (more?: { readonly signal: AbortSignal }) => ActionContext<Options>;
}

const subjectOf = <Options>(made: AgentUnderTest<Options>): Subject<Options> => {
  const { agent, definition, options, context } = made;
  const action = (more = {}) => {
    const made = makeActionContext({ ...context, options, ...more });
    mkdirSync(made.runDir, { recursive: true });
    return made;
  };
  return {
    made,
    action,
    start: async () => {
      if (agent.start === undefined || definition.operations === 'none') return false;
      await agent.start(action());
      return true;
    },
    stop: async () => {
      if (agent.stop === undefined || (definition.operations ?? 'on-off') !== 'on-off') return false;
      await agent.stop(action());
      return true;
    },
    monitor: () => monitorOnce(agent, makeMonitorContext({ ...context, options })),
  };
};

/** The agent has nothing of the kind; AVA counts a test without an assertion as failed. */
const notApplicable = (t: ContractAssertions): void => void t.true(true, 'not applicable');

/** True when the work ended in any way before the limit. */
const settled = async (work: Promise<unknown>): Promise<boolean> => {
  const end = new AbortController();
  const limit = later(SETTLE_MS, false, { signal: end.signal }).catch(() => false);
  const done = await Promise.race([
    work.then(
      () => true,
      () => true,
    ),
    limit,
  ]);
  end.abort();
  return done;
};
