// The body of a heartbeat frame: compact JSON, split into parts when the groups of one beat do not fit one frame.
// Pure. What arrives is authentic but may come from another version: anything not understood exactly is null, never a throw.
import type { LeasePhase } from '../model/lease.js';
import type { BeatGroup, Message } from './contract.js';

/** A message, or one part of a beat: `part` of `parts`, each with some of the groups. */
export interface MessagePart {
  readonly message: Message;
  readonly part: number;
  readonly parts: number;
}

export type Beat = Extract<Message, { kind: 'beat' }>;

/** Whether two words of one group say the same. */
export const isSameGroup = (one: BeatGroup, other: BeatGroup): boolean =>
  one === other ||
  (one.group === other.group &&
    one.epoch === other.epoch &&
    one.seq === other.seq &&
    one.version === other.version &&
    one.phase === other.phase &&
    one.stopped === other.stopped &&
    one.unattended === other.unattended);

export const isSameBeat = (one: Beat, other: Beat): boolean =>
  one.cfgHash === other.cfgHash &&
  one.groups.length === other.groups.length &&
  one.groups.every((group, index) => isSameGroup(group, other.groups[index]!));

const PHASES: readonly LeasePhase[] = ['idle', 'observe', 'acquiring', 'held', 'releasing', 'fencing-self', 'fencing'];
const MAX_PARTS = 64;
const MAX_NAME = 128;
/** Longer than any W; nobody may make a peer promise for days. */
const MAX_WAIT_MS = 3_600_000;

const STOPPED = 1;
const UNATTENDED = 2;

type Wire = readonly unknown[];
const bytesOf = (wire: Wire): Uint8Array => Buffer.from(JSON.stringify(wire), 'utf8');
const groupWire = ({ group, epoch, seq, version, phase, stopped, unattended }: BeatGroup): Wire => [
  group,
  epoch,
  seq,
  version,
  PHASES.indexOf(phase),
  (stopped ? STOPPED : 0) + (unattended === true ? UNATTENDED : 0),
];

/** The message as bodies of at most `maxBytes` each; null when even one group alone is too long. */
export const encodeMessage = (message: Message, maxBytes: number): readonly Uint8Array[] | null => {
  if (message.kind !== 'beat') {
    const body = bytesOf(wordsOf(message));
    return body.length <= maxBytes ? [body] : null;
  }
  const beat = (part: number, parts: number, groups: readonly Wire[]) => bytesOf(['b', message.cfgHash, part, parts, groups]);
  const emptyBytes = beat(MAX_PARTS, MAX_PARTS, []).length;
  const parts: Wire[][] = [[]];
  let usedBytes = emptyBytes;
  for (const group of message.groups) {
    const wire = groupWire(group);
    const length = bytesOf(wire).length + 1;
    if (emptyBytes + length > maxBytes) return null;
    if (usedBytes + length > maxBytes) {
      parts.push([]);
      usedBytes = emptyBytes;
    }
    parts.at(-1)!.push(wire);
    usedBytes += length;
  }
  if (parts.length > MAX_PARTS || emptyBytes > maxBytes) return null;
  return parts.map((groups, part) => beat(part, parts.length, groups));
};

/** Everything but beats: one body each. */
const wordsOf = (message: Exclude<Message, { kind: 'beat' }>): Wire => {
  if (message.kind === 'copy') return ['o', message.key, message.count, message.node, message.value];
  const { group, epoch } = message;
  switch (message.kind) {
    case 'nudge':
      return ['n', group, epoch];
    case 'please-stop':
      return ['p', group, epoch];
    case 'ask':
      return ['a', group, epoch, message.round, message.waitMs];
    case 'grant':
      return ['g', group, epoch, message.round, message.sees ? 1 : 0];
    case 'refuse':
      return ['r', group, epoch, message.round, message.knows, message.because.slice(0, MAX_NAME)];
    default:
      return message satisfies never;
  }
};

const isName = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_NAME;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const readGroup = (wire: unknown): BeatGroup | null => {
  if (!Array.isArray(wire) || wire.length !== 6) return null;
  const [group, epoch, seq, version, phaseIndex, flags] = wire as unknown[];
  const phase = typeof phaseIndex === 'number' ? PHASES[phaseIndex] : undefined;
  if (!isName(group) || !isCount(epoch) || !isCount(seq) || !isName(version) || phase === undefined || !isCount(flags) || flags > 3)
    return null;
  const said = { group, epoch, seq, version, phase, stopped: (flags & STOPPED) > 0 };
  return (flags & UNATTENDED) > 0 ? { ...said, unattended: true } : said;
};

const readWords = (kind: unknown, [group, epoch, round, more, because, ...rest]: readonly unknown[]): Message | null => {
  if (!isName(group) || !isCount(epoch) || rest.length > 0) return null;
  if (kind === 'n' || kind === 'p') return round === undefined ? { kind: kind === 'n' ? 'nudge' : 'please-stop', group, epoch } : null;
  if (kind === 'o')
    return isName(round) && typeof more === 'string' && because === undefined
      ? { kind: 'copy', key: group, count: epoch, node: round, value: more }
      : null;
  if (!isCount(round)) return null;
  if (kind === 'r') return isCount(more) && isName(because) ? { kind: 'refuse', group, epoch, round, knows: more, because } : null;
  if (because !== undefined) return null;
  if (kind === 'a') return isCount(more) && more <= MAX_WAIT_MS ? { kind: 'ask', group, epoch, round, waitMs: more } : null;
  return kind === 'g' && (more === 0 || more === 1) ? { kind: 'grant', group, epoch, round, sees: more === 1 } : null;
};

/** What an authentic body says, or null. */
export const decodeMessage = (body: Uint8Array): MessagePart | null => {
  let wire: unknown;
  try {
    wire = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
  } catch {
    return null; // Not JSON: the answer is null, which the caller counts as a bad body.
  }
  if (!Array.isArray(wire)) return null;
  const [kind, ...rest] = wire as unknown[];
  if (kind !== 'b') {
    const message = readWords(kind, rest);
    return message === null ? null : { message, part: 0, parts: 1 };
  }
  const [cfgHash, part, parts, list] = rest;
  if (rest.length !== 4 || !isName(cfgHash) || !isCount(part) || !isCount(parts) || !Array.isArray(list)) return null;
  if (parts < 1 || parts > MAX_PARTS || part >= parts) return null;
  const groups = list.map(readGroup);
  if (groups.includes(null)) return null;
  return { message: { kind: 'beat', cfgHash, groups: groups as BeatGroup[] }, part, parts };
};
