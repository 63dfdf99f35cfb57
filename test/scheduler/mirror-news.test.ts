import test from 'ava';
import type { MirrorStatus } from '../../core/model/mirror.js';
import { type MirrorMemory, mirrorNews } from '../../core/scheduler/mirror-news.js';

const RESYNC = { to: 'b', doneBytes: 0, ofBytes: 4096, etaMs: null, paused: false };
const status = (more: Partial<MirrorStatus> = {}): MirrorStatus => ({
  mode: 'sync',
  primary: 'a',
  connection: 'connected',
  disks: {},
  dirtyBytes: 0,
  lagBytes: 0,
  lagMs: 0,
  ...more,
});
const counted = (begun: number, ended: number, more: Partial<MirrorStatus> = {}): MirrorStatus =>
  status({ resyncs: { begun, ended }, ...more });

const rows: readonly (readonly [title: string, looks: readonly MirrorStatus[], told: readonly string[]])[] = [
  ['nothing happens: nothing is told', [counted(0, 0), counted(0, 0)], []],
  [
    'parted: once, whatever the connection says until both were connected',
    [status(), ...['split', 'handshake', 'down', 'split', 'split'].map((connection) => status({ connection }))],
    ['split'],
  ],
  ['parted, connected, parted: twice', ['split', 'connected', 'split'].map((connection) => status({ connection })), ['split', 'split']],
  ['parted already at the first look: told', [status({ connection: 'split' })], ['split']],
  ['a resync seen under way, then over', [counted(3, 3), counted(4, 3, { resync: RESYNC }), counted(4, 4)], ['resync-start', 'resync-end']],
  ['a resync between two looks: both are told, in order', [counted(0, 0), counted(1, 1)], ['resync-start', 'resync-end']],
  [
    'a resync that broke off and began again: two begin, one ends',
    [counted(0, 0), counted(1, 0, { resync: RESYNC }), counted(1, 0), counted(2, 0, { resync: RESYNC }), counted(2, 1)],
    ['resync-start', 'resync-start', 'resync-end'],
  ],
  [
    'one ended and the next is under way: in that order',
    [counted(1, 0, { resync: RESYNC }), counted(2, 1, { resync: RESYNC })],
    ['resync-start', 'resync-end', 'resync-start'],
  ],
  ['under way at the first look: told', [counted(1, 0, { resync: RESYNC })], ['resync-start']],
  ['old counts at the first look: not told', [counted(7, 7)], []],
  ['a driver that began anew: what it counts since is told', [counted(7, 7), counted(0, 0), counted(1, 1)], ['resync-start', 'resync-end']],
  [
    'nobody counts: what is seen',
    [status(), status({ resync: RESYNC }), status({ resync: RESYNC }), status()],
    ['resync-start', 'resync-end'],
  ],
];
for (const [title, looks, told] of rows)
  test(title, (t) => {
    let memory: MirrorMemory | null = null;
    const seen: string[] = [];
    for (const look of looks) {
      const found: ReturnType<typeof mirrorNews> = mirrorNews(memory, look);
      memory = found.memory;
      seen.push(...found.news.map(({ kind }) => kind));
    }
    t.deepEqual(seen, told);
  });
