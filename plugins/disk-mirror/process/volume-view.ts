// What a volume shows, and what of it wants a person: pure.
import { NO_GENERATION } from '../words.js';
import type { EngineView } from '../engine/ports.js';
import type { VolumeView } from './protocol.js';

export type VolumeHost = Pick<VolumeView, 'node' | 'peer' | 'mode' | 'pid'>;

/** A volume that runs, as far as it is shown. */
export interface Shown {
  view(): EngineView;
  readonly copy: { readonly sizeBytes: number; readonly chunkBytes: number; readonly volumeUuid: string };
  readonly path: string | null;
  readonly kernelDevice: string | null;
  readonly client: boolean;
  readonly resyncs: VolumeView['resyncs'];
}

export const viewOf = (host: VolumeHost, shown: Shown): VolumeView => {
  const view: VolumeView = {
    ...shown.view(),
    ...host,
    ...shown.copy,
    path: shown.path,
    kernelDevice: shown.kernelDevice,
    client: shown.client,
    resyncs: shown.resyncs,
    alarms: [],
  };
  return { ...view, alarms: alarmsOf(view).flatMap(([, sentence]) => (sentence === null ? [] : [sentence])) };
};

/** Of a process whose copy cannot be opened. */
export const closedView = (host: VolumeHost, because: string): VolumeView => ({
  ...host,
  role: 'secondary',
  disk: 'Diskless',
  peerDisk: 'unknown',
  connection: 'down',
  because,
  serving: false,
  suspended: null,
  dirtyChunks: 0,
  dirtyBytes: 0,
  lagBytes: 0,
  lagMs: 0,
  resync: null,
  current: NO_GENERATION,
  epoch: 0,
  sizeBytes: 0,
  chunkBytes: 0,
  volumeUuid: null,
  path: null,
  kernelDevice: null,
  client: false,
  resyncs: { begun: 0, ended: 0 },
  alarms: [because],
});

/** Subject and sentence; null = this is all right. */
export const alarmsOf = ({ disk, connection, suspended, because, peer }: VolumeView): readonly (readonly [string, string | null])[] => [
  ['mirror.disk', disk === 'Failed' || disk === 'Diskless' ? `this node’s copy is ${disk}: ${because}` : null],
  [
    'mirror.split',
    connection === 'split'
      ? `both copies were written apart from each other (${because}): decide which one gives up its own: understudy mirror resolve --victim NODE`
      : null,
  ],
  ['mirror.refused', connection === 'refused' ? `the copy on ${peer} is refused: ${because}` : null],
  ['mirror.suspended', suspended === null ? null : `writes wait: ${suspended}`],
];

/** Figures move all the time; a watcher wants to know of states, and of figures now and then (it asks). */
export const worthTelling = (before: VolumeView, after: VolumeView): boolean =>
  before.role !== after.role ||
  before.disk !== after.disk ||
  before.peerDisk !== after.peerDisk ||
  before.connection !== after.connection ||
  before.serving !== after.serving ||
  before.suspended !== after.suspended ||
  (before.resync === null) !== (after.resync === null) ||
  before.resyncs.begun !== after.resyncs.begun ||
  before.resyncs.ended !== after.resyncs.ended ||
  before.path !== after.path ||
  before.client !== after.client ||
  before.epoch !== after.epoch;
