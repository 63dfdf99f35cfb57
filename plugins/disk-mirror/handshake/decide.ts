// What two copies do when they meet (SAFETY b.5): one ordered table, first match wins. Pure: both sides compute it from the same
// two hellos and must come to the same. Invariants: decide(a, b) is the mirror image of decide(b, a); no row says `none` while a
// bit is set on either side; nobody who serves is ever written over; what two sides wrote apart is never merged by itself.
import { type CopyState, isNoGeneration, sameGeneration } from '../words.js';
import { covers, inHistory, knowsItIsOld, sameVolume, usable } from './facts.js';

export type Side = 'a' | 'b';

export type Verdict = { readonly rule: string; readonly because: string } & (
  | { readonly kind: 'none' }
  | { readonly kind: 'sync'; readonly source: Side; readonly how: 'bitmap' | 'full' }
  /** Both have what the other lacks. `ancestor`: the bits of both say all that differs. */
  | { readonly kind: 'split'; readonly ancestor: boolean }
  /** `stale`: that side is a primary of an epoch that is over. */
  | { readonly kind: 'refuse'; readonly forGood: boolean; readonly stale: Side | null }
);

/** What a row says about x and y; `from-x`: x is the source. */
type Says = 'none' | 'bitmap-from-x' | 'full-from-x' | 'split' | 'split-unrelated' | 'refuse' | 'refuse-for-good' | 'refuse-stale-y';

interface Row {
  readonly rule: string;
  when(x: CopyState, y: CopyState): boolean;
  readonly says: Says | ((x: CopyState, y: CopyState) => Says);
  because(x: CopyState, y: CopyState): string;
}

const dirty = (x: CopyState, y: CopyState): boolean => x.dirtyChunks > 0 || y.dirtyChunks > 0;
const equal = (x: CopyState, y: CopyState): boolean => sameGeneration(x.current, y.current);
const inconsistent = ({ disk }: CopyState): boolean => disk === 'Inconsistent';
const bare = ({ disk }: CopyState): boolean => disk === 'Failed' || disk === 'Diskless';
/**
 * W7: x died as primary; y, which it counted as in sync, has not been switched off since and has all that x ever answered. In
 * semi-sync y may have died too, with what it had only received: where x was not switched off, x has it all.
 */
const peerOutlived = (x: CopyState, y: CopyState): boolean =>
  x.primaryEpoch > y.primaryEpoch &&
  x.primaryIndicator &&
  x.mode !== 'async' &&
  y.mode !== 'async' &&
  x.peerBootId === y.bootId &&
  !(x.mode === 'semi-sync' && y.peerBootId === x.bootId);

/** The order of the table is the policy. Each row is tried for (a, b), then for (b, a). */
export const ROWS: readonly Row[] = [
  {
    rule: 'unrelated',
    when: (x, y) => !sameVolume(x.identity, y.identity) || x.node === y.node,
    says: 'refuse-for-good',
    because: (x, y) => `${x.node} and ${y.node} do not hold copies of one volume`,
  },
  {
    rule: 'stale-primary',
    when: (x, y) => y.role === 'primary' && y.primaryEpoch < x.maxEpochSeen,
    says: 'refuse-stale-y',
    because: (x, y) => `${y.node} serves under epoch ${y.primaryEpoch}, and ${x.node} has seen epoch ${x.maxEpochSeen}`,
  },
  {
    // What is behind the end of the smaller one has no place there. Both grow alike, to zeroes: then the bits tell what differs.
    rule: 'sizes-differ',
    when: (x, y) => x.identity.sizeBytes < y.identity.sizeBytes,
    says: 'refuse',
    because: (x, y) =>
      `the copy of ${x.node} has ${x.identity.sizeBytes} bytes and that of ${y.node} ${y.identity.sizeBytes}: grow the smaller one (understudy mirror resize)`,
  },
  {
    rule: 'two-primaries',
    when: (x, y) => x.role === 'primary' && y.role === 'primary',
    says: 'split-unrelated',
    because: (x, y) => `${x.node} and ${y.node} both serve`,
  },
  {
    rule: 'failed-disk',
    when: (_, y) => bare(y),
    says: 'refuse',
    because: (_, y) => `the disk of ${y.node} is ${y.disk}`,
  },
  {
    rule: 'no-usable-copy',
    when: (x, y) => !usable(x) && !usable(y),
    says: 'refuse',
    because: (x, y) =>
      isNoGeneration(x.current) && isNoGeneration(y.current)
        ? 'neither copy ever had data: promote one by force'
        : `neither ${x.node} nor ${y.node} holds a whole copy`,
  },
  {
    rule: 'empty-copy',
    when: (_, y) => isNoGeneration(y.current),
    says: 'full-from-x',
    because: (_, y) => `${y.node} never had data`,
  },
  {
    rule: 'unfinished-resync',
    when: (_, y) => inconsistent(y),
    says: (x, y) => (equal(x, y) || covers(x, y.current) ? 'bitmap-from-x' : 'full-from-x'),
    because: (_, y) => `${y.node} is the target of a resync that did not end`,
  },
  {
    rule: 'equal',
    when: (x, y) => equal(x, y) && !dirty(x, y),
    says: 'none',
    because: () => 'both copies are of one generation, and no chunk may differ',
  },
  {
    rule: 'live-primary',
    when: (x, y) => equal(x, y) && x.role === 'primary',
    says: 'bitmap-from-x',
    because: (x) => `${x.node} serves`,
  },
  {
    rule: 'knows-it-is-old',
    when: (x, y) => equal(x, y) && knowsItIsOld(y) && !knowsItIsOld(x),
    says: 'bitmap-from-x',
    because: (_, y) => `${y.node} knows that it is ${y.disk}`,
  },
  {
    rule: 'peer-outlived-primary',
    when: (x, y) => equal(x, y) && peerOutlived(y, x),
    says: 'bitmap-from-x',
    because: (x, y) => `${y.node} died as primary, and ${x.node} still has everything that was answered`,
  },
  {
    rule: 'last-primary',
    when: (x, y) => equal(x, y) && x.primaryEpoch > y.primaryEpoch,
    says: 'bitmap-from-x',
    because: (x) => `${x.node} was the last primary, of epoch ${x.primaryEpoch}`,
  },
  {
    rule: 'no-last-primary',
    when: equal,
    says: 'split',
    because: () => 'the copies may differ, and nothing says which was the last primary',
  },
  {
    rule: 'missed-writes',
    when: (x, y) => covers(x, y.current) && isNoGeneration(y.bitmapBase),
    says: 'bitmap-from-x',
    because: (x, y) => `${x.node} was written while ${y.node} was away, and its bitmap tells what`,
  },
  {
    rule: 'far-behind',
    when: (x, y) => inHistory(x, y.current),
    says: 'full-from-x',
    because: (x, y) => `${y.node} is of an earlier generation of ${x.node}, and the bitmaps do not reach back so far`,
  },
  {
    rule: 'both-wrote',
    when: (x, y) => !isNoGeneration(x.bitmapBase) && sameGeneration(x.bitmapBase, y.bitmapBase),
    says: 'split',
    because: (x, y) => `${x.node} and ${y.node} were both written since they parted`,
  },
  {
    rule: 'no-common-history',
    when: () => true,
    says: 'split-unrelated',
    because: () => 'the copies have no generation in common',
  },
];

const other = (side: Side): Side => (side === 'a' ? 'b' : 'a');

/** What the copies a and b do. */
export const decide = (a: CopyState, b: CopyState): Verdict => {
  for (const row of ROWS) {
    const forwards = row.when(a, b);
    const backwards = row.when(b, a);
    if (!forwards && !backwards) continue;
    const [x, y] = forwards ? [a, b] : [b, a];
    const says = typeof row.says === 'string' ? row.says : row.says(x, y);
    const directed = says.endsWith('-x') || says.endsWith('-y');
    // Each would be the other's source: then neither is.
    if (forwards && backwards && directed)
      return { kind: 'split', ancestor: false, rule: `${row.rule}-both`, because: 'each seems older than the other' };
    return spoken(row, says, forwards ? 'a' : 'b', a, b);
  }
  throw new Error('the last row of the table matches everything');
};

const spoken = ({ rule, because }: Row, says: Says, x: Side, a: CopyState, b: CopyState): Verdict => {
  const [first, second] = x === 'a' ? [a, b] : [b, a];
  const words = { rule, because: because(first, second) };
  switch (says) {
    case 'none':
      return { kind: 'none', ...words };
    case 'bitmap-from-x':
    case 'full-from-x':
      return sync(x, says === 'bitmap-from-x' ? 'bitmap' : 'full', words, x === 'a' ? b : a);
    case 'split':
    case 'split-unrelated':
      return split(says === 'split', words, a, b);
    case 'refuse':
    case 'refuse-for-good':
      return { kind: 'refuse', forGood: says === 'refuse-for-good', stale: null, ...words };
    case 'refuse-stale-y':
      return { kind: 'refuse', forGood: false, stale: other(x), ...words };
  }
};

type Words = Pick<Verdict, 'rule' | 'because'>;

const sync = (source: Side, how: 'bitmap' | 'full', words: Words, target: CopyState): Verdict =>
  target.role === 'primary'
    ? {
        kind: 'refuse',
        forGood: false,
        stale: null,
        rule: 'target-serves',
        because: `${target.node} serves and would be written over: ${words.because}`,
      }
    : { kind: 'sync', source, how, ...words };

/** Nothing is merged by itself; a side that an operator named as the victim is written over, unless it serves. */
const split = (ancestor: boolean, words: Words, a: CopyState, b: CopyState): Verdict => {
  if (a.victim === b.victim) return { kind: 'split', ancestor, ...words };
  const [source, victim]: [Side, CopyState] = a.victim ? ['b', a] : ['a', b];
  const because = `${victim.node} gives up its own changes: ${words.because}`;
  return sync(source, ancestor ? 'bitmap' : 'full', { rule: `victim-${words.rule}`, because }, victim);
};

/** The verdict as one word that both sides can compare: rule and source node. */
export const signature = (verdict: Verdict, a: CopyState, b: CopyState): string => {
  if (verdict.kind !== 'sync') return `${verdict.rule}/${verdict.kind}`;
  return `${verdict.rule}/${verdict.how} from ${(verdict.source === 'a' ? a : b).node}`;
};
