// Faults the emulator was told to show: which answers are late, refused, never given, lost or old. Decides, does nothing:
// the server acts on what `matching` returns. At most 100 at a time.
import { choice, integer, options, text, z } from 'understudy/plugin';

/**
 * latency: so many ms later. throttle: RequestLimitExceeded. deny: UnauthorizedOperation. error: `code`. hang: no answer
 * (with `applied`, after the effect). reset: the connection is cut before anything happened. lost-answer: applied, then
 * the connection is cut. stuck: an instance that it puts under way comes to rest `ms` later, without `ms` never. stale: reads show the state of `ms` ago, or the state before a change for `reads` more reads.
 */
export const FAULT = options({
  kind: choice('What goes wrong', ['latency', 'throttle', 'deny', 'error', 'hang', 'reset', 'lost-answer', 'stale', 'stuck']),
  action: text('An API action, `IMDS`, or `*` for all').default('*'),
  resource: text('Only requests that name this id or address').optional(),
  principal: text('Only requests of this instance or role').optional(),
  ms: integer('Milliseconds, for latency, stale and stuck').optional(),
  reads: integer('Reads that miss each change, for stale').optional(),
  code: text('Error code, for error').optional(),
  status: integer('HTTP status, for error of IMDS', { min: 400, max: 599 }).optional(),
  message: text('Error text, for error').optional(),
  applied: z.boolean().optional().describe('For hang: only after the effect'),
  times: integer('Show it so many times, then forget it', { min: 1 }).optional(),
});
export type Fault = z.output<typeof FAULT>;
export type FaultWords = z.input<typeof FAULT>;

interface Kept {
  readonly id: number;
  readonly fault: Fault;
  left: number;
}

/** What a request is known by. */
export interface Asked {
  readonly action: string;
  readonly values: readonly string[];
  readonly principal: string | null;
}

export class Faults {
  private readonly kept: Kept[] = [];
  private count = 0;

  /** Returns the id by which it can be cleared. */
  add(words: FaultWords): number {
    if (this.kept.length >= 100) throw new Error('there are 100 faults already: clear some first');
    const fault = FAULT.parse(words);
    this.count += 1;
    this.kept.push({ id: this.count, fault, left: fault.times ?? Number.POSITIVE_INFINITY });
    return this.count;
  }

  /** Without an id: all. */
  clear(id?: number): void {
    for (let index = this.kept.length - 1; index >= 0; index -= 1)
      if (id === undefined || this.kept[index]!.id === id) this.kept.splice(index, 1);
  }

  get list(): readonly (Fault & { readonly id: number })[] {
    return this.kept.map(({ id, fault }) => ({ ...fault, id }));
  }

  /** The faults this request meets; each counts as shown once. */
  matching({ action, values, principal }: Asked): readonly Fault[] {
    const met = this.kept.filter(
      ({ fault, left }) =>
        left > 0 &&
        (fault.action === action || (fault.action === '*' && action !== 'IMDS')) &&
        (fault.resource === undefined || values.some((value) => value === fault.resource || value.split('/')[0] === fault.resource)) &&
        (fault.principal === undefined || fault.principal === principal),
    );
    for (const one of met) one.left -= 1;
    return met.map(({ fault }) => fault);
  }
}
