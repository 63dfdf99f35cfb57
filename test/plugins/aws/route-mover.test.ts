// Moving routes in fake time against an API that exists only here and may lie in every way the real one does; the sorting of
// failures; and what a long throttle does and does not do.
import test from 'ava';
import fc from 'fast-check';
import { FakeClock } from 'understudy/testkit';
import type { Ec2, InterfaceView, RouteTableView } from '../../../plugins/aws/ec2.js';
import { Ec2Failure, failureOf } from '../../../plugins/aws/failures.js';
import type { Imds } from '../../../plugins/aws/imds.js';
import { OverlayIpAgent } from '../../../plugins/aws/overlay-ip-agent.js';
import { OVERLAY_IP_OPTIONS } from '../../../plugins/aws/overlay-ip.js';
import { Throttled } from '../../../plugins/aws/calls.js';
import { moveRoute } from '../../../plugins/aws/route-mover.js';
import { MemoryAddresses } from '../../support/memory-addresses.js';
import { contextOf, middle } from './agent-world.js';
import { VIP } from './vpcs.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 200);
const DESTINATION = `${VIP}/32`;

const throttled = (action: string) => new Ec2Failure('throttled', action, 'RequestLimitExceeded', 'Request limit exceeded.', false);

/** What one call does: the truth, or one of the ways in which an API fails. */
type Mood = 'good' | 'throttled' | 'reset' | 'lost-answer' | 'stale';

/** Route tables that obey a script of moods, one for each call; good when it is over. */
class MoodyEc2 implements Pick<Ec2, 'replaceRoute' | 'createRoute' | 'routeTables'> {
  readonly routes = new Map<string, string>();
  before = new Map<string, string>();
  writes = 0;
  reads = 0;
  constructor(private readonly mood: () => Mood) {}

  async replaceRoute({ table, destination }: { table: string; destination: string }, eni: string): Promise<void> {
    this.writes += 1;
    const mood = this.mood();
    if (mood === 'throttled') throw throttled('ReplaceRoute');
    if (mood === 'reset') throw failureOf('ReplaceRoute', Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
    if (!this.routes.has(table)) {
      throw failureOf(
        'ReplaceRoute',
        Object.assign(new Error(`There is no route defined for '${destination}' in the route table. Use CreateRoute instead.`), {
          name: 'InvalidParameterValue',
          $fault: 'client',
          $metadata: { httpStatusCode: 400 },
        }),
      );
    }
    this.set(table, eni);
    if (mood === 'lost-answer') throw failureOf('ReplaceRoute', Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
  }

  async createRoute({ table }: { table: string }, eni: string): Promise<void> {
    if (this.routes.has(table))
      throw failureOf(
        'CreateRoute',
        Object.assign(new Error('exists'), { name: 'RouteAlreadyExists', $fault: 'client', $metadata: { httpStatusCode: 400 } }),
      );
    this.set(table, eni);
  }

  async routeTables(ids: readonly string[]): Promise<readonly RouteTableView[]> {
    this.reads += 1;
    const mood = this.mood();
    if (mood === 'throttled') throw throttled('DescribeRouteTables');
    if (mood === 'reset' || mood === 'lost-answer')
      throw failureOf('DescribeRouteTables', Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
    const seen = mood === 'stale' ? this.before : this.routes;
    return ids.map((id) => ({
      id,
      routes: seen.has(id) ? [{ destination: DESTINATION, interface: seen.get(id)!, target: seen.get(id)!, state: 'active' }] : [],
    }));
  }

  set(table: string, eni: string): void {
    this.before = new Map(this.routes);
    this.routes.set(table, eni);
  }
}

const inFakeTime = async <T>(clock: FakeClock, work: Promise<T>, stepMs = 50): Promise<T> => {
  let over = false;
  const end = () => (over = true);
  work.then(end, end);
  for (let step = 0; !over && step < 20_000; step += 1) await clock.advanceAsync(stepMs);
  return work;
};

test('any run of throttles, resets, lost answers and stale reads: verified in the end, and verified is true', async (t) => {
  const moods = fc.array(fc.constantFrom<Mood>('good', 'throttled', 'reset', 'lost-answer', 'stale'), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(moods, fc.boolean(), async (script, exists) => {
      const left = [...script];
      const clock = new FakeClock();
      const ec2 = new MoodyEc2(() => left.shift() ?? 'good');
      if (exists) ec2.set('rtb-1', 'eni-a');
      const signal = new AbortController().signal;
      const move = {
        table: 'rtb-1',
        destination: DESTINATION,
        eni: 'eni-b',
        access: { assumeRole: null },
        createIfMissing: true,
        signal,
        limits: async () => ({ signal, timeoutMs: 1_000 }),
      };
      const moved = await inFakeTime(
        clock,
        moveRoute({ ec2: ec2 as unknown as Ec2, clock, random: middle, throttled: new Throttled(clock, middle) }, move),
      );
      t.is(moved.state, 'verified');
      t.is(ec2.routes.get('rtb-1'), 'eni-b');
      t.true(moved.calls <= script.length + 3, `${moved.calls} calls for ${script.length} moods`);
      t.is(clock.pendingTimers, 0);
    }),
    { numRuns: Math.min(numRuns, 500) },
  );
});

test('a write that reads never show: written again after six reads, given up at the deadline with words', async (t) => {
  const clock = new FakeClock();
  const ec2 = new MoodyEc2(() => 'stale');
  ec2.set('rtb-1', 'eni-a');
  const seen = ec2.before;
  ec2.set = (table, eni) => void ec2.routes.set(table, eni);
  seen.set('rtb-1', 'eni-a');
  const end = new AbortController();
  clock.after(10_000, () => end.abort(new Error('deadline')));
  const move = {
    table: 'rtb-1',
    destination: DESTINATION,
    eni: 'eni-b',
    access: { assumeRole: null },
    createIfMissing: false,
    signal: end.signal,
    limits: async () => ({ signal: end.signal, timeoutMs: 1_000 }),
  };
  const moved = await inFakeTime(
    clock,
    moveRoute({ ec2: ec2 as unknown as Ec2, clock, random: middle, throttled: new Throttled(clock, middle) }, move),
  );
  t.like(moved, { state: 'pending', what: `rtb-1: the route to ${DESTINATION} is not seen yet` });
  t.is(Math.ceil(ec2.reads / 6), ec2.writes);
});

// ---- the agent under a long throttle

const agentWorld = () => {
  const clock = new FakeClock();
  let quietMs = 0;
  const throttledUntil = (untilMs: number) => (quietMs = clock.nowMs() + untilMs);
  const ec2 = new MoodyEc2(() => (clock.nowMs() < quietMs ? 'throttled' : 'good'));
  const whole = Object.assign(ec2, {
    interface: async (id: string): Promise<InterfaceView> => ({
      id,
      instance: 'i-b',
      primary: '10.0.2.10',
      secondary: [],
      sourceDestCheck: false,
    }),
    warm: async () => {},
  });
  for (const table of ['rtb-1', 'rtb-2', 'rtb-3']) ec2.set(table, 'eni-a');
  const addresses = new MemoryAddresses();
  const agent = new OverlayIpAgent(whole as unknown as Ec2, {} as Imds, addresses, clock, middle);
  const options = OVERLAY_IP_OPTIONS.parse({ address: VIP, routeTables: ['rtb-1', 'rtb-2', 'rtb-3'], interface: 'eth0', eni: 'eni-b' });
  const context = (limitMs: number) => contextOf(options, { limitMs, signal: new AbortController().signal });
  return { clock, ec2, agent, context, throttledUntil };
};

test('90 s of throttling during a failover: the start holds on and has every table when it ends, without a storm of calls', async (t) => {
  const { clock, ec2, agent, context, throttledUntil } = agentWorld();
  throttledUntil(90_000);
  const beganMs = clock.nowMs();
  const report = await inFakeTime(clock, agent.start(context(180_000)));
  t.is(report.degraded, undefined);
  t.deepEqual([...ec2.routes.values()], ['eni-b', 'eni-b', 'eni-b']);
  t.true(clock.nowMs() - beganMs < 97_000, 'within one backoff of the end');
  // All tables together: a burst, and then one in 3 s.
  t.true(ec2.writes <= 6 + 90 / 3 + 2 * 3, `${ec2.writes} writes`);
});

test('90 s of throttling while healthy: never faulted, never offline, and not a single write', async (t) => {
  const { clock, ec2, agent, context, throttledUntil } = agentWorld();
  await inFakeTime(clock, agent.start(context(180_000)));
  const { writes } = ec2;
  throttledUntil(90_000);
  const states = new Set<string>();
  for (let second = 0; second < 120; second += 1) {
    states.add((await agent.monitor(context(10_000))).state);
    await clock.advanceAsync(1_000);
  }
  t.deepEqual(
    [...states].filter((state) => state !== 'online' && state !== 'unknown'),
    [],
  );
  t.is((await agent.monitor(context(10_000))).state, 'online');
  t.is(ec2.writes, writes);
});

test('routes are read once a second for 20 s after a start, then once in routeCheckEvery', async (t) => {
  const { clock, ec2, agent, context } = agentWorld();
  await inFakeTime(clock, agent.start(context(180_000)));
  const reads = async (seconds: number) => {
    const before = ec2.reads;
    for (let quarter = 0; quarter < seconds * 4; quarter += 1) {
      await clock.advanceAsync(250);
      await agent.monitor(context(10_000));
    }
    return ec2.reads - before;
  };
  t.true((await reads(20)) >= 18);
  t.true((await reads(90)) <= 4);
});

// ---- what a failure means

const client = (name: string, httpStatusCode = 400) =>
  Object.assign(new Error(`${name} message`), { name, $fault: 'client', $metadata: { httpStatusCode } });
const sorted: readonly [thrown: unknown, kind: string, mayHaveHappened: boolean][] = [
  [client('RequestLimitExceeded', 503), 'throttled', false],
  [client('ThrottlingException'), 'throttled', false],
  [client('UnauthorizedOperation', 403), 'denied', false],
  [client('AccessDenied', 403), 'denied', false],
  [client('ExpiredToken'), 'credentials', false],
  [client('RequestExpired'), 'credentials', false],
  [client('AuthFailure', 401), 'credentials', false],
  [Object.assign(new Error('none'), { name: 'CredentialsProviderError' }), 'credentials', false],
  [client('InvalidRouteTableID.NotFound'), 'absent', false],
  [client('InvalidParameterValue'), 'refused', false],
  [client('InternalError', 500), 'transient', true],
  [client('Unavailable', 503), 'transient', true],
  [Object.assign(new Error('hang up'), { code: 'ECONNRESET' }), 'transient', true],
  [Object.assign(new Error('late'), { name: 'TimeoutError' }), 'transient', true],
  [new DOMException('an aborted signal', 'TimeoutError'), 'transient', true],
  [Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), 'transient', false],
  [Object.assign(new Error('dns'), { code: 'ENOTFOUND' }), 'transient', false],
  ['a text', 'transient', true],
];
for (const [thrown, kind, mayHaveHappened] of sorted) {
  const failure = failureOf('ReplaceRoute', thrown);
  test(`failure ${failure.code} (${String((thrown as { message?: string }).message ?? thrown)}): ${kind}`, (t) => {
    t.is(failure.kind, kind as Ec2Failure['kind']);
    t.is(failure.mayHaveHappened, mayHaveHappened);
    t.is(failure.final, ['denied', 'absent', 'refused'].includes(kind));
  });
}

test('the wrong clock of a host is named in words', (t) => {
  t.regex(failureOf('ReplaceRoute', client('RequestExpired')).message, /signed with a wrong time, set the clock of this host right/);
});
