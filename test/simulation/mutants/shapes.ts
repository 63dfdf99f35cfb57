// Which plans can show a mutant at all. What stands between two holders is several locks deep: a mutant of one of them is seen
// only where the others are not there, and where the fault that needs this lock happens. Other seeds are not worth their time.
import type { FaultKind, Plan } from '../../../core/simulation/fault-plan.js';

export type Shape = (plan: Plan) => boolean;

export const all =
  (...shapes: readonly Shape[]): Shape =>
  (plan) =>
    shapes.every((shape) => shape(plan));

export const any =
  (...shapes: readonly Shape[]): Shape =>
  (plan) =>
    shapes.some((shape) => shape(plan));

/** So many faults of this kind, with this about them. */
export const faults =
  (kind: FaultKind, least = 1, about: Readonly<Record<string, unknown>> = {}): Shape =>
  ({ faults: planned }) =>
    planned.filter(
      (fault) =>
        fault.kind === kind &&
        Object.entries(about).every(([name, value]) => (fault as unknown as Record<string, unknown>)[name] === value),
    ).length >= least;

/** What costs least: two nodes, and beats a second apart. More nodes and shorter times are more of the same for most mutants. */
export const small: Shape = ({ nodes, profile }) => nodes === 2 && profile === 'standard';

/** W as short as it may be, and no fence is waited for. */
export const timeAlone: Shape = ({ tightW, fencing, profile, takeover }) =>
  tightW && fencing !== 'required' && profile === 'standard' && takeover === 'lease';

/** No watchdog bites, no fence is waited for: the guard and the leash are all there is. */
export const guardAlone: Shape = (plan) => timeAlone(plan) && !plan.watchdog;

export const withDog: Shape = ({ watchdog, profile, takeover }) => watchdog && profile === 'standard' && takeover === 'lease';

/** Only a proof lets the next epoch start: no watchdog does it by time. */
export const proofAlone: Shape = ({ watchdog, fencing, profile }) => !watchdog && profile === 'standard' && fencing === 'required';

export const slowStops: Shape = (plan) => plan.slowStops === true;

/** Requests and answers are late, or land and are never answered. */
export const lateAnswers: Shape = ({ storeWeather }) => storeWeather.slow > 0.05 || storeWeather.loseAnswer > 0.02;

/** The holder, and not everybody, loses the store for longer than W. */
export const oneLosesTheStore: Shape = ({ faults: planned }) =>
  planned.filter(
    (fault) =>
      fault.kind === 'arbiter' && fault.node !== null && (fault.how === 'down' || fault.how === 'unanswered') && fault.forMs > 15_000,
  ).length >= 2;

export const preempt: Shape = ({ takeover, profile }) => takeover === 'preempt' && profile !== 'lan';

/** Few faults, and one of this kind among them that lasts longer than any W: nothing else comes in its way. */
export const calmBut =
  (kind: 'isolated' | 'hang'): Shape =>
  ({ faults: planned }) =>
    planned.length < 40 &&
    planned.some((fault) => fault.kind === kind && fault.atMs > 40_000 && fault.atMs < 270_000 && fault.forMs > 18_000);

/** One of these scenes (core/simulation/scenes). */
export const scene =
  (...names: readonly string[]): Shape =>
  (plan) =>
    plan.scene !== undefined && names.includes(plan.scene);
