// What a volume's view and its attachment mean for the group: pure. Offline is never said: the process answers. A copy that
// must not be used is no fault of the node that holds it; it is why that node is not eligible.
import type { MirrorStatus, MonitorResult } from 'understudy/plugin';
import type { AttachState } from '../attach/attachment.js';
import type { VolumeView } from '../process/protocol.js';

/** `attachment`: null where nothing may be attached, as on a secondary. */
export const resultOf = (view: VolumeView, attachment: AttachState | null): MonitorResult => {
  const common = { role: view.role, detail: detailOf(view), mirror: mirrorOf(view) };
  if (view.disk === 'Failed') return { state: 'faulted', reason: `the disk of this copy failed: ${view.because}`, ...common };
  if (view.role === 'secondary') return { state: 'online', ...common, ...degradedBy(secondaryTrouble(view)) };
  if (!view.serving) return { state: 'faulted', reason: `it is primary and does not serve: ${view.because}`, ...common };
  if (attachment?.state !== 'attached')
    return { state: 'faulted', reason: attachment?.state === 'broken' ? attachment.because : 'the device is not attached', ...common };
  return { state: 'online', ...common, ...degradedBy(primaryTrouble(view)) };
};

const degradedBy = (degraded: string | null): Pick<MonitorResult, 'degraded'> => (degraded === null ? {} : { degraded });

const secondaryTrouble = ({ disk, connection, resync, because }: VolumeView): string | null => {
  if (disk === 'UpToDate' && connection === 'connected') return null;
  const progress = resync === null || resync.ofBytes === 0 ? '' : `, resync ${Math.floor((100 * resync.doneBytes) / resync.ofBytes)} %`;
  return `this copy is ${disk}${progress}, ${connection}: ${because}`;
};

const primaryTrouble = ({ suspended, connection, peer, peerDisk, because }: VolumeView): string | null => {
  if (suspended !== null) return `writes wait: ${suspended}`;
  if (connection !== 'connected') return `the copy on ${peer} is not reached (${connection}): ${because}`;
  return peerDisk === 'UpToDate' ? null : `the copy on ${peer} is ${peerDisk}`;
};

/** What `status`, the peers and the hooks of the group are told. */
const mirrorOf = (view: VolumeView): MirrorStatus => {
  const { mode, node, peer, role, connection, disk, peerDisk, dirtyBytes, lagBytes, lagMs, suspended, resync, resyncs } = view;
  return {
    mode,
    primary: role === 'primary' ? node : null,
    connection,
    disks: { [node]: disk, [peer]: peerDisk },
    dirtyBytes,
    lagBytes,
    lagMs,
    suspended,
    // A comparison moves nothing.
    resync: resync === null || resync.kind === 'verify' ? null : { to: resync.direction === 'source' ? peer : node, ...amountsOf(resync) },
    resyncs,
  };
};

const amountsOf = ({ doneBytes, ofBytes, etaMs, paused }: NonNullable<VolumeView['resync']>) => ({ doneBytes, ofBytes, etaMs, paused });

/** For `status`: the keys of the mirrors' view. */
const detailOf = (view: VolumeView): Readonly<Record<string, unknown>> => ({
  mode: view.mode,
  connection: view.connection,
  path: view.path,
  disk: view.disk,
  peer: view.peer,
  peerDisk: view.peerDisk,
  dirtyBytes: view.dirtyBytes,
  lagBytes: view.lagBytes,
  lagMs: view.lagMs,
  resync: view.resync,
  suspended: view.suspended,
  alarms: view.alarms,
});
