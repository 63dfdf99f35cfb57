// The mirrors of the cluster as status shows them: from this node's own look at its copy, else from the last report of a node that
// has one; and in words what a failover would lose at this moment. Pure.
import type { DesiredGroup } from '../model/desired.js';
import type { NodeId } from '../model/ids.js';
import type { MirrorStatus } from '../model/mirror.js';
import type { ObservedState } from '../model/observed.js';
import type { MirrorView } from './views.js';

/** One for each mirrored volume of which anything is known. The holder's word comes first: it alone knows what it has answered. */
export const mirrorViews = (
  groups: readonly DesiredGroup[],
  observed: ObservedState,
  active: (group: string) => NodeId | null,
): readonly MirrorView[] =>
  groups.flatMap((group) =>
    group.resources.flatMap(({ id }) => {
      const said = (node: NodeId): MirrorStatus | undefined =>
        node === observed.self
          ? observed.groups[group.id]?.resources[id]?.mirror
          : observed.nodes[node]?.state === 'member'
            ? observed.nodes[node]?.groups[group.id]?.resources[id]?.mirror
            : undefined;
      const holder = active(group.id);
      const order = [...(holder === null ? [] : [holder]), observed.self, ...group.prefer];
      const found = order.map(said).find((status) => status !== undefined);
      if (found === undefined) return [];
      const { inSync, mirror } = observed.groups[group.id]?.lease ?? { inSync: [], mirror: null };
      const { resync = null, suspended = null, ...rest } = found;
      return [
        {
          id: `${group.id}/${id}`,
          ...rest,
          inSync: inSync.filter((node) => mirror?.stale.includes(node) !== true),
          ...(suspended === null ? {} : { suspended }),
          ...(resync === null ? {} : { resync }),
        },
      ];
    }),
  );

/** `failing over now loses 0 B`, or what it would lose, or why nobody would take over. */
export const lossSentence = ({ mode, primary, disks, inSync, dirtyBytes, lagBytes, lagMs }: MirrorView): string => {
  const others = Object.keys(disks).filter((node) => node !== primary);
  if (primary === null) return 'it is primary nowhere';
  const ready = others.filter((node) => inSync.includes(node));
  if (ready.length === 0)
    return `no failover by itself: ${others.join(' and ') || 'no other node'} may lack what changed in ${bytesText(dirtyBytes)}`;
  if (mode === 'sync' || lagBytes === 0) return 'failing over now loses 0 B';
  return `failing over now loses ${bytesText(lagBytes)}, the last ${(lagMs / 1000).toFixed(1)} s`;
};

/** `resync to b 43 %, 12 s left`; empty when there is none. */
export const resyncSentence = ({ resync }: MirrorView): string => {
  if (resync === undefined) return '';
  const { to, doneBytes, ofBytes, etaMs, paused } = resync;
  const share = ofBytes === 0 ? 100 : Math.floor((100 * doneBytes) / ofBytes);
  const left = paused ? ', paused' : etaMs === null ? '' : `, ${Math.ceil(etaMs / 1000)} s left`;
  return `resync to ${to} ${share} %${left}`;
};

/** 512 B, 3.2 MB: for people. */
export const bytesText = (bytes: number): string => {
  const step = [...UNITS.keys()].findLast((power) => bytes >= 1000 ** power) ?? 0;
  return step === 0 ? `${Math.round(bytes)} B` : `${(bytes / 1000 ** step).toFixed(1)} ${UNITS[step]}`;
};

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
