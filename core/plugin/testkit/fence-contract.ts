// The contract suite of fences: what whoever starts a group after a fence relies on, whatever the device is. Built-in fences and
// users' run the same. Time is the test's own clock; requests to a real service may take real time, which `idle` tells.
import { setTimeout as later } from 'node:timers/promises';
import type { FenceDevice, FenceRequest } from '../fence-contract.js';
import type { ContractAssertions, ContractTest } from './agent-contract.js';
import type { FakeClock } from './fake-clock.js';

/**
 * How what is behind the device behaves. obeys: told to power off, it does, after a while. accepts: says yes, and the victim stays
 * on. dying: says yes, and the victim is for ever on its way. silent: does not answer.
 */
export type FenceBehaviour = 'obeys' | 'accepts' | 'dying' | 'silent';

/** One device with a world of its own. Made anew for each test, with the victim on. */
export interface FenceUnderTest {
  readonly device: FenceDevice;
  /** The clock the device was opened with. */
  readonly clock: FakeClock;
  readonly self: string;
  readonly victim: string;
  readonly behave: (how: FenceBehaviour) => unknown;
  /** Whether the victim is off (or cut off) in truth. */
  readonly isOff: () => boolean;
  /** Questions and orders that the device sent so far. */
  readonly requests: () => number;
  /** Of those: orders, which change something where they are obeyed. */
  readonly orders: () => number;
  /** Requests allowed: so many at once, and so many a second (default 0.5). */
  readonly rate: { readonly burst: number; readonly eachSecond?: number };
  /** No request is under way. Default: always true. */
  readonly idle?: () => boolean;
  /** What the evidence must name: the device's own word for the victim, and for "off". */
  readonly evidence: readonly RegExp[];
  /** It is confirmed in this time on the clock when it obeys. Default 60 s. */
  readonly withinMs?: number;
  readonly end?: () => unknown;
}

const STEP_MS = 250;
/** A request that is not answered after so long of real time is not going to be: time may pass. */
const PATIENCE_MS = 40;
const A_TIME = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}/;
const AT_ONCE_MS = 2_000;

type Outcome = { readonly evidence: string } | { readonly error: unknown };

export const fenceContract = (test: ContractTest, name: string, make: () => FenceUnderTest | Promise<FenceUnderTest>): void => {
  const situation = (title: string, body: (t: ContractAssertions, subject: Subject) => Promise<void>) =>
    test(`${name}: ${title}`, async (t) => {
      const made = await make();
      try {
        await body(t, new Subject(made));
      } finally {
        await made.device.close();
        await made.end?.();
      }
    });

  situation('it obeys: confirmed when it is off and not before, with what was seen and when', async (t, s) => {
    s.made.behave('obeys');
    const outcome = await s.fence();
    t.true('evidence' in outcome, said(outcome));
    t.true(s.made.isOff(), 'it is off in truth');
    for (const part of [...s.made.evidence, A_TIME]) t.true(part.test(said(outcome)), `${said(outcome)} tells ${String(part)}`);
    await s.made.device.close();
  });

  situation('a node that is off already: confirmed again, by new looks', async (t, s) => {
    s.made.behave('obeys');
    await s.fence();
    const before = s.made.requests();
    const again = await s.fence();
    t.true('evidence' in again, said(again));
    t.true(s.made.requests() > before);
    t.true(s.made.isOff());
  });

  for (const how of ['accepts', 'dying'] as const) {
    situation(
      `${how === 'accepts' ? 'yes is said and nothing follows' : 'it is dying for ever'}: never confirmed, told why when time is up`,
      async (t, s) => {
        s.made.behave(how);
        const { outcome, beforeMs } = await s.until(120_000);
        t.true(beforeMs >= 120_000, `it went on to the end of its time: ${said(outcome)}`);
        t.true('error' in outcome, said(outcome));
        t.true(said(outcome).includes(s.made.victim), said(outcome));
        const { burst, eachSecond = 0.5 } = s.made.rate;
        t.true(s.made.requests() <= burst + eachSecond * 120, `${s.made.requests()} requests in 120 s`);
      },
    );
  }

  situation('no answer: the signal ends it at once', async (t, s) => {
    s.made.behave('silent');
    const controller = new AbortController();
    const running = s.start(controller.signal);
    await later(PATIENCE_MS);
    const atMs = performance.now();
    controller.abort(new Error('the time is up'));
    const outcome = await running;
    t.true('error' in outcome, said(outcome));
    t.true(performance.now() - atMs < AT_ONCE_MS);
  });

  situation('told after its time: nothing is ordered', async (t, s) => {
    s.made.behave('obeys');
    const outcome = await s.start(AbortSignal.abort(new Error('the time is up')));
    t.true('error' in outcome, said(outcome));
    t.is(s.made.orders(), 0);
    t.true(!s.made.isOff());
  });

  situation('itself, or a node it does not know: refused, and nothing is ordered', async (t, s) => {
    s.made.behave('obeys');
    for (const node of [s.made.self, 'nobody']) {
      const outcome = await s.fence(node);
      t.true('error' in outcome, `${node}: ${said(outcome)}`);
      t.true(said(outcome).includes(node), said(outcome));
    }
    t.is(s.made.orders(), 0);
  });

  situation('check: fit, and it changes nothing', async (t, s) => {
    s.made.behave('obeys');
    if (s.made.device.check === undefined) return;
    const signal = new AbortController().signal;
    t.is(await s.drive(s.made.device.check(signal), 30_000), null);
    t.true(!s.made.isOff());
  });
};

class Subject {
  constructor(readonly made: FenceUnderTest) {}

  start(signal: AbortSignal, node = this.made.victim, limitMs = 60_000): Promise<Outcome> {
    const request: FenceRequest = { node, bootId: 'b0'.repeat(16), epoch: 7, attempt: 1, signal, limitMs };
    return this.made.device.fence(request).catch((error: unknown) => ({ error }));
  }

  /** Fences while time passes; ended when it takes longer than it may. */
  async fence(node = this.made.victim): Promise<Outcome> {
    return (await this.until(this.made.withinMs ?? 60_000, node)).outcome;
  }

  /** Fences with a limit on the clock; how much of it had passed when it was settled. */
  async until(limitMs: number, node = this.made.victim): Promise<{ readonly outcome: Outcome; readonly beforeMs: number }> {
    const { clock } = this.made;
    const startMs = clock.nowMs();
    const controller = new AbortController();
    clock.after(limitMs, () => controller.abort(new Error(`${limitMs} ms are over`)));
    const outcome = await this.drive(this.start(controller.signal, node, limitMs), limitMs + STEP_MS);
    return { outcome, beforeMs: clock.nowMs() - startMs };
  }

  /** Lets time pass in small steps, each only when nothing is under way any more. */
  async drive<T>(running: Promise<T>, maxMs: number): Promise<T> {
    let settled = false;
    const watched = running.finally(() => (settled = true));
    watched.catch(() => undefined);
    for (let spentMs = 0; spentMs <= maxMs && !settled; spentMs += STEP_MS) {
      await this.quiet(() => settled);
      if (!settled) await this.made.clock.advanceAsync(STEP_MS);
    }
    return watched;
  }

  private async quiet(settled: () => boolean): Promise<void> {
    const { idle = () => true, clock } = this.made;
    const untilMs = performance.now() + PATIENCE_MS;
    await clock.settle();
    for (let calm = 0; calm < 2 && !settled() && performance.now() < untilMs; calm = idle() ? calm + 1 : 0) {
      await later(1);
    }
  }
}

const said = (outcome: Outcome): string =>
  'evidence' in outcome ? outcome.evidence : outcome.error instanceof Error ? outcome.error.message : String(outcome.error);
