// The call log: every request with its parameters, caller, times and outcome, for tests and for people. Bounded.
import type { Clock } from 'understudy/plugin';

export interface Call {
  readonly number: number;
  /** The API action, or `IMDS`. */
  readonly action: string;
  /** Parameters of the request; for IMDS only `path`. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly userAgent: string;
  /** Who signed: an instance's role, an assumed role's ARN, or null. */
  readonly principal: string | null;
  readonly fromMs: number;
  /** When the answer was written or the connection cut; null while under way (a hang stays null). */
  readonly untilMs: number | null;
  /** `ok`, an error code, `hang`, `reset`, `lost-answer`; null while under way. */
  readonly outcome: string | null;
}

const KEPT = 10_000;

export class CallLog {
  private readonly kept: { -readonly [K in keyof Call]: Call[K] }[] = [];
  private count = 0;

  constructor(private readonly clock: Clock) {}

  get list(): readonly Call[] {
    return this.kept.map((call) => ({ ...call }));
  }

  /** Notes the beginning; the function it returns notes the end. */
  begin(call: Pick<Call, 'action' | 'parameters' | 'userAgent' | 'principal'>): (outcome: string) => void {
    this.count += 1;
    const entry = {
      ...call,
      number: this.count,
      fromMs: this.clock.nowMs(),
      untilMs: null as number | null,
      outcome: null as string | null,
    };
    this.kept.push(entry);
    if (this.kept.length > KEPT) this.kept.shift();
    return (outcome) => {
      entry.outcome = outcome;
      entry.untilMs = outcome === 'hang' ? null : this.clock.nowMs();
    };
  }
}
