// The decision of two copies that meet (SAFETY b.5, b.8.1): every input over three generations, and histories whose truth is known.
import test from 'ava';
import { Chance } from '../../../../core/simulation/chance.js';
import { decide, ROWS, signature, type Verdict } from '../../../../plugins/disk-mirror/handshake/decide.js';
import { type CopyState, type DiskState, type Generation, isNoGeneration, NO_GENERATION } from '../../../../plugins/disk-mirror/words.js';
import { TrueHistory } from '../../../support/mirror-world/true-history.js';

const GENERATIONS: readonly Generation[] = [NO_GENERATION, { epoch: 1, counter: 1, random: 1 }, { epoch: 1, counter: 2, random: 2 }];
const DISKS: readonly DiskState[] = ['UpToDate', 'Consistent', 'Outdated', 'Inconsistent', 'Failed'];
const identity = { cluster: 'c', group: 'g', volume: 'v', volumeUuid: 'u', sizeBytes: 4096 };

const mirrorOf = (verdict: Verdict): Verdict => {
  if (verdict.kind === 'sync') return { ...verdict, source: verdict.source === 'a' ? 'b' : 'a' };
  if (verdict.kind === 'refuse' && verdict.stale !== null) return { ...verdict, stale: verdict.stale === 'a' ? 'b' : 'a' };
  return verdict;
};

/** Every state of a copy that the table can tell from another. */
const states = (node: string): CopyState[] => {
  const all: CopyState[] = [];
  for (const current of GENERATIONS)
    for (const bitmapBase of GENERATIONS)
      for (const history of [[], [GENERATIONS[1]!]])
        for (const disk of DISKS)
          for (const [role, primaryIndicator, primaryEpoch, maxEpochSeen] of [
            ['secondary', false, 0, 3],
            ['secondary', true, 1, 2],
            ['secondary', false, 2, 2],
            ['primary', true, 2, 2],
          ] as const)
            for (const dirtyChunks of [0, 1])
              all.push({
                identity,
                node,
                bootId: node,
                role,
                disk,
                primaryIndicator,
                primaryEpoch,
                maxEpochSeen,
                current,
                bitmapBase,
                history,
                dirtyChunks,
                forced: false,
                mode: 'sync',
                peerBootId: node === 'a' ? 'b' : 'a',
                seeded: false,
                victim: false,
              });
  return all;
};

test('all pairs: each side decides the mirror image of the other, nothing dirty is left, no primary and no whole copy is spoilt', (t) => {
  const [as, bs] = [states('a'), states('b')];
  const seen = new Map<string, number>();
  const faults: string[] = [];
  let pairs = 0;
  const chance = new Chance(1);
  for (const a of as)
    for (const b of bs) {
      // 518 400 pairs; a third of them, another third in each place of the table.
      if (chance.next() > 0.34) continue;
      pairs += 1;
      const verdict = decide(a, b);
      const mirrored = mirrorOf(decide(b, a));
      seen.set(verdict.rule, (seen.get(verdict.rule) ?? 0) + 1);
      const wrong =
        JSON.stringify({ ...verdict, because: '' }) !== JSON.stringify({ ...mirrored, because: '' })
          ? 'asymmetric'
          : signature(verdict, a, b) !== signature(decide(b, a), b, a)
            ? 'two signatures'
            : judge(verdict, a, b);
      if (wrong !== null && faults.length < 5) faults.push(`${wrong}: ${verdict.rule} ${JSON.stringify(a)} ${JSON.stringify(b)}`);
    }
  t.deepEqual(faults, []);
  t.true(pairs > 100_000, `${pairs} pairs`);
  const unreached = ROWS.map(({ rule }) => rule).filter((rule) => !seen.has(rule) && rule !== 'unrelated');
  t.deepEqual(unreached, ['sizes-differ'], 'every row is reached: that one below');
});

const judge = (verdict: Verdict, a: CopyState, b: CopyState): string | null => {
  if (verdict.kind === 'none') return a.dirtyChunks + b.dirtyChunks > 0 ? 'none with bits' : null;
  if (verdict.kind !== 'sync') return null;
  const [source, target] = verdict.source === 'a' ? [a, b] : [b, a];
  if (target.role === 'primary') return 'a primary as target';
  if (source.disk === 'Inconsistent' || source.disk === 'Failed' || isNoGeneration(source.current)) return 'a source that is no whole copy';
  return null;
};

test('another volume, or itself: refused for good', (t) => {
  const [a] = states('a') as [CopyState];
  const [b] = states('b') as [CopyState];
  for (const other of [
    { ...b, identity: { ...identity, volumeUuid: 'x' } },
    { ...b, identity: { ...identity, cluster: 'x' } },
    { ...b, node: 'a' },
  ])
    t.like(decide(a, other), { kind: 'refuse', forGood: true, rule: 'unrelated' });
});

test('one was grown and the other not yet: refused until both are, whoever they are and whatever else differs', (t) => {
  // Every 23rd and every 17th: each state comes in some pair.
  for (const a of states('a').filter((_, index) => index % 23 === 0))
    for (const b of states('b').filter((_, index) => index % 17 === 0)) {
      const [small, large] = [a, { ...b, identity: { ...identity, sizeBytes: 8192 } }];
      const verdict = decide(small, large);
      t.is(verdict.kind, 'refuse');
      if (verdict.rule === 'stale-primary') continue;
      t.like(verdict, { forGood: false, rule: 'sizes-differ', because: decide(large, small).because });
      t.regex(verdict.because, /the copy of a has 4096 bytes and that of b 8192: grow the smaller one/);
    }
});

test('a split is resolved only towards a victim that does not serve', (t) => {
  const [g1, g2, g3] = [1, 2, 3].map((counter) => ({ epoch: 1, counter, random: counter })) as [Generation, Generation, Generation];
  const base = states('a').find(({ disk, role, current }) => disk === 'UpToDate' && role === 'secondary' && !isNoGeneration(current))!;
  const a = { ...base, current: g2, bitmapBase: g1, history: [g1], dirtyChunks: 1 };
  const b = { ...base, node: 'b', bootId: 'b', current: g3, bitmapBase: g1, history: [g1], dirtyChunks: 1 };
  t.like(decide(a, b), { kind: 'split', ancestor: true, rule: 'both-wrote' });
  t.like(decide(a, { ...b, victim: true }), { kind: 'sync', source: 'a', how: 'bitmap' });
  t.like(decide({ ...a, victim: true }, b), { kind: 'sync', source: 'b', how: 'bitmap' });
  t.like(decide({ ...a, victim: true }, { ...b, victim: true }), { kind: 'split' });
  const unrelated = { ...b, bitmapBase: NO_GENERATION, history: [] };
  t.like(decide(a, { ...unrelated, victim: true }), { kind: 'sync', source: 'a', how: 'full' });
  t.like(decide(a, { ...b, victim: true, role: 'primary', primaryEpoch: 3, maxEpochSeen: 3 }), { kind: 'refuse', rule: 'target-serves' });
});

test('histories whose truth is known: no copies stay different, nothing answered is written over without a word', (t) => {
  const [histories, steps] = [4_000, 40];
  const kinds = new Map<string, number>();
  for (let seed = 0; seed < histories; seed++) {
    const history = new TrueHistory(new Chance(seed).stream('true'), seed % 4 === 3);
    for (let step = 0; step < steps && history.wrong.length === 0; step++) history.step();
    t.deepEqual(history.wrong, [], `seed ${seed}`);
    for (const line of history.story) if (line.startsWith('meet')) kinds.set(line, (kinds.get(line) ?? 0) + 1);
  }
  for (const rule of [
    'equal none',
    'live-primary sync',
    'peer-outlived-primary sync',
    'last-primary sync',
    'missed-writes sync',
    'both-wrote split',
    'unfinished-resync sync',
  ])
    t.true((kinds.get(`meet: ${rule}`) ?? 0) > 5, `${rule} was decided: ${kinds.get(`meet: ${rule}`) ?? 0} times`);
});
