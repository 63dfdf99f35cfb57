// Keeps a standby's way to the API warm: once in a while, in the background, without effect. Its outcome is a fact for
// people (`detail.api`), never a fault: a standby has nothing that could be faulted.
import { reasonOf, type Clock, type MonitorContext } from 'understudy/plugin';
import type { CallLimits } from './ec2.js';

type Key = Pick<MonitorContext<unknown>, 'group' | 'resource'>;

const EVERY_MS = 240_000; // Credentials are renewed when five minutes of them are left.
const AFTER_FAILURE_MS = 30_000;
const LIMIT_MS = 10_000;

export class Standby {
  private readonly kept = new Map<string, { askedMs: number; running: boolean; told: string; failed: boolean }>();

  constructor(private readonly clock: Clock) {}

  /** `ready`, `not asked yet`, or why not. Starts the next warming when it is due. */
  ready(key: Key, warm: (limits: CallLimits) => Promise<void>): string {
    const name = `${key.group}/${key.resource}`;
    const kept = this.kept.get(name) ?? { askedMs: Number.NEGATIVE_INFINITY, running: false, told: 'not asked yet', failed: false };
    this.kept.set(name, kept);
    const due = kept.askedMs + (kept.failed ? AFTER_FAILURE_MS : EVERY_MS) <= this.clock.nowMs();
    if (!due || kept.running) return kept.told;
    kept.askedMs = this.clock.nowMs();
    kept.running = true;
    const over = new AbortController();
    const timer = this.clock.after(LIMIT_MS, () => over.abort(new Error(`not warm within ${LIMIT_MS / 1000} s`)), { idle: true });
    const told = (words: string, failed: boolean) => {
      timer.cancel();
      Object.assign(kept, { told: words, failed, running: false });
    };
    warm({ signal: over.signal, timeoutMs: LIMIT_MS }).then(
      () => told('ready', false),
      (thrown: unknown) => told(reasonOf(thrown), true),
    );
    return kept.told;
  }
}
