// What a failover would lose at this moment, in words.
import test from 'ava';
import { bytesText, lossSentence, resyncSentence } from '../../core/api/mirror-view.js';
import type { MirrorView } from '../../core/api/views.js';

const mirror = (change: Partial<MirrorView> = {}): MirrorView => ({
  id: 'g/data',
  mode: 'sync',
  primary: 'a',
  connection: 'connected',
  disks: { a: 'UpToDate', b: 'UpToDate' },
  inSync: ['a', 'b'],
  dirtyBytes: 0,
  lagBytes: 0,
  lagMs: 0,
  ...change,
});

const losses: [title: string, view: MirrorView, sentence: string][] = [
  ['sync, both in sync', mirror(), 'failing over now loses 0 B'],
  ['sync with bits set by writes under way', mirror({ dirtyBytes: 65_536 }), 'failing over now loses 0 B'],
  ['async, all sent', mirror({ mode: 'async' }), 'failing over now loses 0 B'],
  ['async, behind', mirror({ mode: 'async', lagBytes: 3_200_000, lagMs: 1_400 }), 'failing over now loses 3.2 MB, the last 1.4 s'],
  ['the standby out of sync', mirror({ inSync: ['a'], dirtyBytes: 5_000 }), 'no failover by itself: b may lack what changed in 5.0 kB'],
  ['primary nowhere', mirror({ primary: null }), 'it is primary nowhere'],
];
for (const [title, view, sentence] of losses) test(`loss, ${title}`, (t) => t.is(lossSentence(view), sentence));

test('resync: how far, how long still', (t) => {
  const resync = { to: 'b', doneBytes: 43, ofBytes: 100, etaMs: 11_400, paused: false };
  t.is(resyncSentence(mirror({ resync })), 'resync to b 43 %, 12 s left');
  t.is(resyncSentence(mirror({ resync: { ...resync, etaMs: null } })), 'resync to b 43 %');
  t.is(resyncSentence(mirror({ resync: { ...resync, paused: true } })), 'resync to b 43 %, paused');
  t.is(resyncSentence(mirror({ resync: { ...resync, doneBytes: 0, ofBytes: 0, etaMs: 0 } })), 'resync to b 100 %, 0 s left');
  t.is(resyncSentence(mirror()), '');
});

test('bytes for people', (t) => {
  t.deepEqual([0, 999, 1_000, 3_200_000, 5e9, 2e15].map(bytesText), ['0 B', '999 B', '1.0 kB', '3.2 MB', '5.0 GB', '2000.0 TB']);
});
