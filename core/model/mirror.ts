// What a mirror says of itself, for status, metrics and peers: the `mirror` of a monitor's answer. Facts and words, no decision;
// the shape is the API's promise, whatever driver stands behind it.
import type { NodeId } from './ids.js';

export interface MirrorStatus {
  /** `sync`, `semi-sync`, `async`, or the driver's own word. */
  readonly mode: string;
  /** Which node serves the data now; null when none does, or it is not known here. */
  readonly primary: NodeId | null;
  /** `connected`, `down`, `handshake`, `split`, `refused`, or the driver's own word. */
  readonly connection: string;
  /** What each copy is worth: `UpToDate`, `Inconsistent`, `Outdated`, …; of a peer that is away, what was known last. */
  readonly disks: Readonly<Record<NodeId, string>>;
  /** What may differ between the copies. */
  readonly dirtyBytes: number;
  /** Answered to the application and not yet at the peer. */
  readonly lagBytes: number;
  /** How old the oldest of that is. */
  readonly lagMs: number;
  /** Why writes wait, null when they do not. Absent = they do not. */
  readonly suspended?: string | null;
  /** Data on its way to make the copies equal. */
  readonly resync?: {
    readonly to: NodeId;
    readonly doneBytes: number;
    readonly ofBytes: number;
    readonly etaMs: number | null;
    readonly paused: boolean;
  } | null;
  /** Begun, and ended with equal copies, since the driver began: so that none is missed between two looks. Absent = not counted. */
  readonly resyncs?: { readonly begun: number; readonly ended: number };
}

/** Whether what a plugin or a peer said has this shape. */
export const isMirrorStatus = (value: unknown): value is MirrorStatus => {
  if (!isRecord(value)) return false;
  const { mode, primary, connection, disks, dirtyBytes, lagBytes, lagMs, suspended = null, resync = null, resyncs } = value;
  return (
    typeof mode === 'string' &&
    (primary === null || typeof primary === 'string') &&
    typeof connection === 'string' &&
    isRecord(disks) &&
    Object.values(disks).every((disk) => typeof disk === 'string') &&
    [dirtyBytes, lagBytes, lagMs].every(isAmount) &&
    (suspended === null || typeof suspended === 'string') &&
    (resync === null || isResync(resync)) &&
    (resyncs === undefined || (isRecord(resyncs) && isAmount(resyncs['begun']) && isAmount(resyncs['ended'])))
  );
};

const isResync = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value['to'] === 'string' &&
  isAmount(value['doneBytes']) &&
  isAmount(value['ofBytes']) &&
  (value['etaMs'] === null || isAmount(value['etaMs'])) &&
  typeof value['paused'] === 'boolean';

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isAmount = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;
