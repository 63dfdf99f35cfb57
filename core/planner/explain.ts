// What happened, and how long each step took: a timeline made from the journals of one or several nodes. Pure. Monotonic times
// are compared only within one boot of one node; what another clock saw is put behind it, or told without a place in time.
import type { BootId, GroupId, NodeId } from '../model/ids.js';
import type { IncidentId, JournalEvent } from '../model/event.js';
import { stepsOf } from './explain-steps.js';

/** `detect`: silence noticed. `wait`: for proof that the old holder is down. `arbitrate`: the lease. `note`: off the way to service. */
export type StepLabel =
  | 'fault'
  | 'detect'
  | 'wait'
  | 'arbitrate'
  | 'release'
  | 'fence'
  | 'hooks'
  | 'address'
  | 'start'
  | 'stop'
  | 'mirror'
  | 'note';

export interface TimelineStep {
  readonly label: StepLabel;
  readonly node: NodeId;
  /** From the beginning of the incident, as far as the clocks can tell. */
  readonly startMs: number;
  /** Null: not ended as far as the journal goes. */
  readonly durationMs: number | null;
  readonly what: string;
  readonly because: string;
  readonly failed: boolean;
}

export interface Timeline {
  readonly incident: IncidentId;
  readonly kind: string;
  readonly group: GroupId | null;
  readonly from: NodeId | null;
  readonly to: NodeId | null;
  readonly because: string;
  /** How the group was when the story ended; null while it lasts. */
  readonly outcome: string | null;
  readonly steps: readonly TimelineStep[];
  /** Milliseconds by label, parallel steps counted once, and `total`; `client` is the longest gap a probe saw. */
  readonly totals: Readonly<Record<string, number>>;
  /** What has no place in these times: other clocks, missing journals, a node that fenced itself. */
  readonly notes: readonly string[];
}

/** The events of one boot of one node, whose times can be compared. */
export interface Segment {
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly events: readonly JournalEvent[];
}

/** The timeline of `incident`, or of the last one begun. Null when there is none. */
export const explain = (events: readonly JournalEvent[], incident?: IncidentId): Timeline | null => {
  const begins = events.filter(({ kind, incident: id }) => kind === 'incident.begin' && id !== undefined);
  const first = incident === undefined ? begins.at(-1) : begins.find((event) => event.incident === incident);
  if (first?.incident === undefined) return null;
  const id = first.incident;
  const from = text(first, 'from');
  const to = text(first, 'to');
  const told = segments(events).filter((segment) => segment.events.some((event) => event.incident === id));
  // Whoever gave the group away comes first.
  const ordered = [...told].sort((left, right) => Number(right.node === from) - Number(left.node === from));

  const steps: TimelineStep[] = [];
  let offsetMs = 0;
  for (const segment of ordered) {
    const own = stepsOf(segment, id, from);
    steps.push(...own.map((step) => ({ ...step, startMs: round(step.startMs + offsetMs) })));
    offsetMs = endOf(steps.filter(({ label }) => label !== 'note'));
  }
  const end = events.findLast((event) => event.kind === 'incident.end' && event.incident === id);
  const kind = text(first, 'kind') ?? 'incident';
  return {
    incident: id,
    kind,
    group: first.group ?? null,
    from,
    to,
    because: first.because ?? '',
    outcome: end === undefined ? null : text(end, 'state'),
    steps,
    totals: totalsOf(steps, clientGap(events, first)),
    notes: notesOf(events, ordered, { id, kind, from, to, group: first.group }),
  };
};

const text = (event: JournalEvent, key: string): string | null => {
  const value = event.data?.[key];
  return typeof value === 'string' ? value : null;
};

const round = (ms: number): number => Math.round(ms * 10) / 10;

const segments = (events: readonly JournalEvent[]): readonly Segment[] => {
  const byBoot = new Map<string, { node: NodeId; bootId: BootId; events: JournalEvent[] }>();
  for (const event of events) {
    const key = `${event.node} ${event.bootId}`;
    const segment = byBoot.get(key) ?? { node: event.node, bootId: event.bootId, events: [] };
    segment.events.push(event);
    byBoot.set(key, segment);
  }
  // Guard and controller write one journal, but an event may name a time before it was written.
  return [...byBoot.values()].map((segment) => ({ ...segment, events: segment.events.sort((left, right) => left.monoMs - right.monoMs) }));
};

const endOf = (steps: readonly TimelineStep[]): number =>
  steps.reduce((end, { startMs, durationMs }) => Math.max(end, startMs + (durationMs ?? 0)), 0);

const totalsOf = (steps: readonly TimelineStep[], clientMs: number | null): Readonly<Record<string, number>> => {
  const totals: Record<string, number> = {};
  for (const label of new Set(steps.map((step) => step.label)))
    totals[label] = round(covered(steps.filter((step) => step.label === label)));
  totals['total'] = round(endOf(steps.filter(({ label }) => label !== 'note')));
  if (clientMs !== null) totals['client'] = round(clientMs);
  return totals;
};

/** The length of the union of all spans. */
const covered = (steps: readonly TimelineStep[]): number => {
  let sum = 0;
  let reached = Number.NEGATIVE_INFINITY;
  for (const { startMs, durationMs } of [...steps].sort((left, right) => left.startMs - right.startMs)) {
    const endMs = startMs + (durationMs ?? 0);
    sum += Math.max(0, endMs - Math.max(startMs, reached));
    reached = Math.max(reached, endMs);
  }
  return sum;
};

// The probe's clock is not a node's: only the length of its gap means anything. It stands behind the incident in its journal.
const clientGap = (events: readonly JournalEvent[], first: JournalEvent): number | null => {
  const gaps = events.filter(
    (event) =>
      event.kind === 'probe.gap' &&
      (event.incident === undefined || event.incident === first.incident) &&
      (event.group === undefined || event.group === first.group),
  );
  const lengths = gaps.map((event) => event.data?.['gapMs']).filter((ms) => typeof ms === 'number');
  return lengths.length === 0 ? null : Math.max(...lengths);
};

interface Story {
  readonly id: IncidentId;
  readonly kind: string;
  readonly from: NodeId | null;
  readonly to: NodeId | null;
  readonly group: GroupId | undefined;
}

const notesOf = (events: readonly JournalEvent[], told: readonly Segment[], { id, kind, from, to, group }: Story): readonly string[] => {
  const notes: string[] = [];
  if (told.length > 1)
    notes.push(
      `${told.map(({ node }) => node).join(' and ')} have clocks of their own: the steps of each are put behind those of the one before`,
    );
  if (kind === 'switchover') {
    const missing = [from, to].filter((node): node is NodeId => node !== null && !told.some((segment) => segment.node === node));
    for (const node of missing) notes.push(`the journal of ${node} is not at hand: its steps are missing`);
  }
  if (from !== null && from !== to) {
    const fenced = events.findLast((event) => event.kind === 'lease.fencing-self' && event.node === from && event.group === group);
    const stopped = events.findLast(
      (event) => event.kind === 'lease.stopped' && event.node === from && event.group === group && event.bootId === fenced?.bootId,
    );
    if (fenced !== undefined) {
      const took =
        stopped === undefined
          ? 'and has not said that everything is stopped'
          : `and had everything stopped after ${round(stopped.monoMs - fenced.monoMs)} ms`;
      notes.push(`${from} fenced itself ${took}: ${fenced.because ?? ''}`);
    }
  }
  for (const fault of events.filter((event) => event.kind === 'fault.begin' && event.incident === id))
    notes.push(`a fault was injected: ${fault.because ?? text(fault, 'what') ?? ''}`);
  return notes;
};
