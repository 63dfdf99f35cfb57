// The lease record as text in the store: written compactly, read strictly. A record that is not exactly right is `invalid`,
// never guessed at: nobody takes over, nobody renews, and an operator is told. The format is version 1 (SAFETY a.4).
import type { EarlierHolder, LeaseRecord, RecordMember } from './record.js';

export type ParsedRecord =
  | { readonly kind: 'record'; readonly record: LeaseRecord }
  | { readonly kind: 'invalid'; readonly because: string };

const MAX_LENGTH = 64 * 1024;
const STATES: readonly string[] = ['HELD', 'HELD-UNKNOWN', 'RELEASED', 'FENCING'] satisfies LeaseRecord['state'][];

/** An empty `fencing` is left out: guards that do not know it yet can then read whatever does not need it. */
export const encodeRecord = ({ fencing, ...record }: LeaseRecord): string =>
  JSON.stringify(fencing.length === 0 ? record : { ...record, fencing });

/** Never throws. Unknown members are refused: a newer format has another `v`. */
export const parseRecord = (text: string): ParsedRecord => {
  if (text.length > MAX_LENGTH) return invalid(`it is ${text.length} characters long`);
  const value = parseJson(text);
  if (!isObject(value)) return invalid('it is not a JSON object');
  if (!Object.hasOwn(value, 'fencing')) value['fencing'] = [];
  if (value['v'] !== 1) return invalid(`its format is version ${JSON.stringify(value['v']) ?? 'none'}, this guard knows 1`);
  for (const [key, check] of MEMBERS) if (!check(value[key])) return invalid(`\`${key}\` is ${JSON.stringify(value[key]) ?? 'missing'}`);
  for (const key of Object.keys(value)) if (!Object.hasOwn(CHECKS, key)) return invalid(`it has an unknown member \`${key}\``);
  // Every member was checked above.
  const record = value as unknown as LeaseRecord;
  if (record.ttlW <= record.d)
    return invalid(`its takeover wait of ${record.ttlW} ms is not longer than its self-fence deadline of ${record.d} ms`);
  if ((record.state === 'HELD' || record.state === 'FENCING') && record.holder === null) return invalid(`it is ${record.state} by nobody`);
  if (record.fencing.length > 0 && record.state !== 'FENCING' && record.state !== 'RELEASED')
    return invalid(`it is ${record.state} while ${record.fencing.map(({ node }) => node).join(', ')} must be proven down`);
  return { kind: 'record', record };
};

const invalid = (why: string): ParsedRecord => ({ kind: 'invalid', because: `the lease record cannot be used: ${why}` });

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not JSON: the caller says so.
    return undefined;
  }
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === 'string';
const isNode = (value: unknown): boolean => value === null || (typeof value === 'string' && value !== '');
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isDuration = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0;
const isMember = (value: unknown): value is RecordMember =>
  isObject(value) && typeof value['id'] === 'string' && value['id'] !== '' && isText(value['bootId']) && Object.keys(value).length === 2;
const areMembers = (value: unknown): boolean =>
  Array.isArray(value) && value.every(isMember) && value.every(({ id }, index) => value.findIndex((other) => other.id === id) === index);

const isEarlier = (value: unknown): value is EarlierHolder =>
  isObject(value) &&
  typeof value['node'] === 'string' &&
  value['node'] !== '' &&
  isText(value['bootId']) &&
  isCount(value['epoch']) &&
  Object.keys(value).length === 3;
const areEarlier = (value: unknown): boolean =>
  Array.isArray(value) && value.every(isEarlier) && new Set(value.map(({ node }) => node)).size === value.length;

const CHECKS: Readonly<Record<keyof LeaseRecord, (value: unknown) => boolean>> = {
  v: (value) => value === 1,
  epoch: isCount,
  holder: isNode,
  bootId: isText,
  nonce: isText,
  seq: isCount,
  state: (value) => typeof value === 'string' && STATES.includes(value),
  fencing: areEarlier,
  ttlW: isDuration,
  d: isDuration,
  members: areMembers,
  inSync: areMembers,
  forced: (value) => value === undefined || value === true,
  successor: isNode,
  watchdog: (value) => typeof value === 'boolean',
  reason: isText,
  prevHolder: isNode,
  cfgHash: isText,
};
const MEMBERS = Object.entries(CHECKS);
