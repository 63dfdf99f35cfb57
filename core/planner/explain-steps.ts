// The steps one node took in one incident, in its own clock: silence, waiting and lease from the guard's events, hooks and
// actions from the controller's. Begun and ended events are paired; an end without a beginning says itself how long it took.
import type { JournalEvent, IncidentId } from '../model/event.js';
import type { NodeId } from '../model/ids.js';
import type { Segment, StepLabel, TimelineStep } from './explain.js';

/** Steps in the order of their beginning, counted from the first. */
export const stepsOf = ({ node, events }: Segment, incident: IncidentId, from: NodeId | null): readonly TimelineStep[] => {
  const begin = events.find((event) => event.kind === 'incident.begin' && event.incident === incident);
  const own = events.filter((event) => event.incident === incident);
  const steps = [
    ...(begin === undefined ? [] : leaseSteps(node, events, begin, from)),
    ...actionSteps(node, own),
    ...releaseSteps(node, events, own),
  ];
  if (begin !== undefined && text(begin, 'kind') === 'fault')
    steps.push(spanStep(node, 'fault', begin.monoMs, begin.monoMs, `${text(begin, 'resource') ?? 'a resource'} failed`, begin.because));
  const zeroMs = Math.min(begin?.monoMs ?? Number.POSITIVE_INFINITY, ...steps.map(({ startMs }) => startMs));
  return steps.map((step) => ({ ...step, startMs: round(step.startMs - zeroMs) })).sort((left, right) => left.startMs - right.startMs);
};

/** How this node came to the lease of the incident: last heard → suspect → allowed → held. */
const leaseSteps = (node: NodeId, events: readonly JournalEvent[], begin: JournalEvent, from: NodeId | null): TimelineStep[] => {
  // The controller hears of the lease after the guard has it: what led to it lies before the incident's own beginning.
  const ours = (kind: string): JournalEvent | undefined =>
    events.findLast(
      (event) => event.kind === kind && event.group === begin.group && event.epoch === begin.epoch && event.monoMs <= begin.monoMs,
    );
  // The holder that repairs, or gives away, won its lease in an earlier story.
  const kind = text(begin, 'kind');
  if (kind === 'fault' || (kind === 'switchover' && node === from)) return [];
  const won = events.find((event) => event.kind === 'lease.held' && event.group === begin.group && event.epoch === begin.epoch);
  if (won === undefined) return [];
  const steps: TimelineStep[] = [];
  const asked = ours('lease.acquiring');
  const back =
    events.findLast((event) => event.kind === 'peer.member' && peer(event) === from && event.monoMs < won.monoMs)?.monoMs ??
    Number.NEGATIVE_INFINITY;
  const silence = events.find(
    (event) =>
      (event.kind === 'peer.suspect' || event.kind === 'peer.lost') &&
      peer(event) === from &&
      event.monoMs > back &&
      event.monoMs <= won.monoMs,
  );
  let reachedMs = asked?.monoMs ?? won.monoMs;
  if (silence !== undefined && from !== null && kind === 'failover') {
    steps.push(
      spanStep(
        node,
        'detect',
        number(silence, 'lastHeardMonoMs') ?? silence.monoMs,
        silence.monoMs,
        `${from} fell silent`,
        silence.because,
      ),
    );
    if (asked !== undefined)
      steps.push(spanStep(node, 'wait', silence.monoMs, asked.monoMs, `for proof that ${from} is down`, asked.because));
    else reachedMs = silence.monoMs;
  }
  steps.push(spanStep(node, 'arbitrate', reachedMs, won.monoMs, `lease of epoch ${won.epoch ?? 0}`, won.because));
  return steps;
};

const releaseSteps = (node: NodeId, events: readonly JournalEvent[], own: readonly JournalEvent[]): TimelineStep[] => {
  const begin = own[0];
  const end = own.at(-1);
  const released = events.find(
    (event) =>
      event.kind === 'lease.released' &&
      event.group === begin?.group &&
      event.epoch === begin?.epoch &&
      event.monoMs >= (begin?.monoMs ?? 0),
  );
  if (begin === undefined || end === undefined || released === undefined || text(begin, 'kind') === 'failover') return [];
  const lastMs =
    own.filter(({ kind, monoMs }) => (kind === 'action.done' || kind === 'hook.done') && monoMs <= released.monoMs).at(-1)?.monoMs ??
    begin.monoMs;
  return [spanStep(node, 'release', lastMs, released.monoMs, `lease of epoch ${released.epoch ?? 0}`, released.because)];
};

const actionSteps = (node: NodeId, own: readonly JournalEvent[]): TimelineStep[] => {
  const steps: TimelineStep[] = [];
  const begun = new Map<string, JournalEvent>();
  const hookPoints = new Set(own.filter(({ kind }) => kind === 'hook.done' || kind === 'hook.failed').map((event) => text(event, 'point')));
  for (const event of own) {
    const key = `${text(event, 'kind') ?? ''} ${event.resource ?? text(event, 'point') ?? ''}`;
    switch (event.kind) {
      case 'action.begin':
        begun.set(key, event);
        break;
      case 'action.done':
      case 'action.failed': {
        const begin = begun.get(key);
        begun.delete(key);
        // A point's hooks are told one by one; the action around them would count twice.
        if (text(event, 'kind') === 'hook' && hookPoints.has(text(event, 'point'))) break;
        const startMs = begin?.monoMs ?? event.monoMs - (number(event, 'elapsedMs') ?? 0);
        steps.push(
          spanStep(
            node,
            labelOf(event),
            startMs,
            event.monoMs,
            whatOf(event),
            event.because ?? begin?.because,
            event.kind === 'action.failed',
          ),
        );
        break;
      }
      case 'hook.done':
      case 'hook.failed': {
        const failed = event.kind === 'hook.failed';
        const because = failed ? (text(event, 'reason') ?? event.because) : event.because;
        steps.push(
          spanStep(
            node,
            'hooks',
            event.monoMs - (number(event, 'elapsedMs') ?? 0),
            event.monoMs,
            `${text(event, 'point') ?? ''} ${text(event, 'hook') ?? ''}`.trim(),
            because,
            failed,
          ),
        );
        break;
      }
    }
  }
  for (const event of begun.values()) {
    if (text(event, 'kind') === 'hook' && hookPoints.has(text(event, 'point'))) continue;
    steps.push({
      label: labelOf(event),
      node,
      startMs: event.monoMs,
      durationMs: null,
      what: `${whatOf(event)}, not ended`,
      because: event.because ?? '',
      failed: false,
    });
  }
  return steps;
};

const labelOf = (event: JournalEvent): StepLabel => {
  switch (text(event, 'kind') ?? '') {
    case 'start':
      return isAddress(text(event, 'type') ?? '') ? 'address' : 'start';
    case 'stop':
      return 'stop';
    case 'promote':
    case 'demote':
      return 'mirror';
    case 'fence':
      return 'fence';
    case 'hook':
      return 'hooks';
    default:
      return 'note';
  }
};

/** Types that float an address say so in their name (`ip-address`); no vendor's name is known here. */
const isAddress = (type: string): boolean => type.split('-').some((word) => word === 'ip' || word === 'address');

const whatOf = (event: JournalEvent): string => {
  const degraded = text(event, 'degraded');
  const name = event.resource ?? text(event, 'point') ?? event.group ?? '';
  return `${text(event, 'kind') ?? event.kind} ${name}${degraded === null ? '' : ` (degraded: ${degraded})`}`;
};

const spanStep = (
  node: NodeId,
  label: StepLabel,
  startMs: number,
  endMs: number,
  what: string,
  because = '',
  failed = false,
): TimelineStep => ({ label, node, startMs, durationMs: round(Math.max(0, endMs - startMs)), what, because, failed });

const peer = (event: JournalEvent): string | null => text(event, 'peer');
const round = (ms: number): number => Math.round(ms * 10) / 10;

const text = (event: JournalEvent, key: string): string | null => {
  const value = event.data?.[key];
  return typeof value === 'string' ? value : null;
};

const number = (event: JournalEvent, key: string): number | null => {
  const value = event.data?.[key];
  return typeof value === 'number' ? value : null;
};
