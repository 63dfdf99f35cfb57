// Was a history of concurrent calls one that a single compare-and-set register could have given? Every write of such a
// history has a value of its own, so the writes that happened form one chain, and every answer has a place on it; linearizable
// means that the places agree with real time. Pure; finds every violation of that kind, and needs no search.

export interface RecordedCall {
  readonly client: string;
  readonly kind: 'cas' | 'read';
  /** By one clock for all clients, milliseconds. */
  readonly beganMs: number;
  /** Infinity for a write whose outcome its client never learnt: it may land at any time. */
  readonly endedMs: number;
  /** For cas: the value on whose version it was made (null: absent), and the value it would write. */
  readonly on?: string | null;
  readonly to?: string;
  readonly outcome: 'done' | 'conflict' | 'unknown' | 'value';
  /** What a read or a conflict showed; null: absent. */
  readonly saw?: string | null;
}

/** What is wrong with the history of one key, in words; null when nothing is. */
export const objectionTo = (calls: readonly RecordedCall[]): string | null => {
  const writes = new Map(calls.flatMap((call) => (call.kind === 'cas' && call.to !== undefined ? [[call.to, call] as const] : [])));
  const seen = new Set(calls.flatMap((call) => [call.saw, call.on]).filter((value) => value !== undefined && value !== null));
  for (const value of seen) {
    const write = writes.get(value);
    if (write === undefined) return `${value} was seen and never written`;
    if (write.outcome === 'conflict') return `${value} was seen, though its writer was told of a conflict`;
  }
  const happened = [...writes.values()].filter(({ outcome, to }) => outcome === 'done' || (outcome === 'unknown' && seen.has(to ?? '')));
  const next = new Map<string | null, RecordedCall>();
  for (const write of happened) {
    const other = next.get(write.on ?? null);
    if (other !== undefined) return `${other.to} and ${write.to} were both written on ${write.on ?? 'nothing'}`;
    next.set(write.on ?? null, write);
  }
  const place = new Map<string | null, number>([[null, 0]]);
  for (let value: string | null = null, write = next.get(value); write !== undefined; write = next.get(value)) {
    value = write.to ?? null;
    place.set(value, place.size);
  }
  if (place.size !== happened.length + 1) return 'a write that happened stands on one that did not';
  return objectionOfTime(calls, place);
};

/** A call that began after another ended must not show an earlier state; after a write, not the state before it. */
const objectionOfTime = (calls: readonly RecordedCall[], place: ReadonlyMap<string | null, number>): string | null => {
  const placed = calls.flatMap((call) => {
    const value = call.kind === 'cas' && call.outcome !== 'conflict' ? call.to : call.saw;
    const at = value === undefined ? undefined : place.get(value);
    return at === undefined ? [] : [{ call, at, wrote: call.kind === 'cas' && call.outcome !== 'conflict' }];
  });
  for (const earlier of placed)
    for (const later of placed) {
      if (earlier.call.endedMs >= later.call.beganMs) continue;
      if (later.at < earlier.at || (later.wrote && later.at === earlier.at))
        return `${words(later.call)} came after ${words(earlier.call)} had ended`;
    }
  return null;
};

const words = ({ client, kind, to, saw, outcome }: RecordedCall): string =>
  `${client}: ${kind} ${outcome === 'conflict' || kind === 'read' ? `that saw ${saw ?? 'nothing'}` : `of ${to}`}`;
