// The contract suite itself: it passes a good agent and names what is wrong with each bad one.
import { spawnSync } from 'node:child_process';
import test from 'ava';
import { agentContract, type AgentUnderTest, type ContractTest, makeActionContext, makeMonitorContext } from 'understudy/testkit';
import type { Agent } from 'understudy/plugin';

interface World {
  running: boolean;
  writes: number;
  reachable: boolean;
}

const goodAgent = (world: World): Required<Pick<Agent, 'monitor' | 'start' | 'stop' | 'plan'>> => ({
  monitor: async () => {
    if (!world.reachable) throw new Error('throttled');
    return world.running ? 'online' : 'offline';
  },
  start: async ({ signal }) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    signal.throwIfAborted();
    if (!world.running) world.writes += 1;
    world.running = true;
  },
  stop: async () => {
    if (world.running) world.writes += 1;
    world.running = false;
  },
  plan: async () => [{ kind: 'process', what: 'run' }],
});

const subject =
  (change: (agent: ReturnType<typeof goodAgent>, world: World) => Partial<Agent>, definition: AgentUnderTest['definition'] = {}) =>
  (): AgentUnderTest => {
    const world: World = { running: false, writes: 0, reachable: true };
    const agent = goodAgent(world);
    return {
      definition,
      agent: { ...agent, ...change(agent, world) },
      options: {},
      world: () => ({ running: world.running, writes: world.writes }),
      breakDependency: () => (world.reachable = false),
    };
  };

agentContract(
  test,
  'a good agent',
  subject(() => ({}), { hardStop: ({ resource }) => [`kill ${resource}`] }),
);

/** Runs the suite against an agent, outside AVA; the titles of what failed. */
const failures = async (make: () => AgentUnderTest): Promise<readonly string[]> => {
  const bodies: Promise<string[]>[] = [];
  const collect: ContractTest = (title, body) => {
    const expect = (ok: boolean) => {
      if (!ok) throw new Error(title);
    };
    const run = async () => {
      try {
        await body({
          true: (actual) => expect(actual === true),
          is: (actual, expected) => expect(Object.is(actual, expected)),
          deepEqual: (actual, expected) => expect(JSON.stringify(actual) === JSON.stringify(expected)),
        });
        return [];
      } catch {
        return [title.slice(title.indexOf(': ') + 2)];
      }
    };
    bodies.push(run());
  };
  agentContract(collect, 'x', make);
  return (await Promise.all(bodies)).flat();
};

const bad: [title: string, change: Parameters<typeof subject>[0], failed: RegExp, definition?: AgentUnderTest['definition']][] = [
  [
    'writes in monitor',
    (agent, world) => ({ monitor: async (context) => ((world.writes += 1), agent.monitor(context)) }),
    /^monitor changes nothing/,
  ],
  [
    'starts anew each time',
    (agent, world) => ({ start: async (context) => ((world.writes += 1), agent.start(context)) }),
    /^start, and start again/,
  ],
  [
    'stop fails when stopped',
    (agent, world) => ({ stop: async (context) => (world.running ? agent.stop(context) : Promise.reject(new Error('not running'))) }),
    /^stop when never started/,
  ],
  ['stop does nothing', () => ({ stop: async () => undefined }), /^stop, and stop again/],
  [
    'silence is offline',
    (_agent, world) => ({ monitor: async () => (world.running && world.reachable ? 'online' : 'offline') }),
    /^the dependency fails/,
  ],
  [
    'plan acts',
    (agent, world) => ({ plan: async () => ((world.running = true), agent.plan('start', makeMonitorContext({ options: {} }))) }),
    /^plan and hardStop/,
  ],
  ['hardStop is of chance', () => ({}), /^plan and hardStop/, { hardStop: () => [String(Math.random())] }],
  [
    'an aborted start goes on behind',
    (_agent, world) => ({ start: async () => void setTimeout(() => (world.running = true), 5) }),
    /^start/,
  ],
];
for (const [title, change, failed, definition] of bad) {
  test(`an agent that is wrong (${title}): the suite says so`, async (t) => {
    const titles = await failures(subject(change, definition));
    t.true(
      titles.some((one) => failed.test(one)),
      JSON.stringify(titles),
    );
  });
}

test('contexts: a command without an exec fails by name; the lease can be taken away', async (t) => {
  await t.throwsAsync(makeMonitorContext({ options: {} }).run('ip', ['addr']), { message: /^ip addr: this test runs no commands/ });
  const lease = { held: true, remainingMs: 500 };
  const context = makeActionContext({ options: {}, lease });
  context.checkLease(400);
  t.throws(() => context.checkLease(600), { message: /not held with 600 ms left/ });
  lease.held = false;
  t.throws(() => context.checkLease(), { message: /not held/ });
  t.is(context.leaseRemainingMs(), 0);
});

test('templates/plugin type-checks as its author would check it', (t) => {
  const { status, stdout } = spawnSync('node_modules/.bin/tsc', ['-p', 'templates/plugin'], { encoding: 'utf8' });
  t.is(status, 0, stdout);
});
