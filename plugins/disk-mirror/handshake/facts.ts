// What a row of the handshake's table may ask of a copy. Pure.
import { type CopyState, type Generation, isNoGeneration, sameGeneration, type VolumeIdentity } from '../words.js';

export const sameVolume = (one: VolumeIdentity, other: VolumeIdentity): boolean =>
  one.cluster === other.cluster && one.group === other.group && one.volume === other.volume && one.volumeUuid === other.volumeUuid;

/** It can be a source: there is data, and all of it. */
export const usable = ({ disk, current }: CopyState): boolean => disk !== 'Inconsistent' && !isNoGeneration(current);

export const knowsItIsOld = ({ disk }: CopyState): boolean => disk === 'Outdated' || disk === 'Behind';

export const inHistory = ({ history }: CopyState, generation: Generation): boolean =>
  !isNoGeneration(generation) && history.some((one) => sameGeneration(one, generation));

/**
 * The bits of `copy` tell everything that a copy of this generation may lack: they were kept since `bitmapBase`, so for that
 * generation and for every later one of its own (a resync that ended at the peer and whose end did not come back).
 */
export const covers = ({ bitmapBase, history }: CopyState, generation: Generation): boolean => {
  if (isNoGeneration(bitmapBase) || isNoGeneration(generation)) return false;
  if (sameGeneration(bitmapBase, generation)) return true;
  const base = history.findIndex((one) => sameGeneration(one, bitmapBase));
  const found = history.findIndex((one) => sameGeneration(one, generation));
  return base >= 0 && found >= 0 && found < base;
};
