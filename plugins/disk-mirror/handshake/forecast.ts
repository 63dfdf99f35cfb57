// What two copies would do if they met now, in words and figures for an operator: the table's verdict with who gives, who gets and
// how much at most. Pure; decides nothing of its own.
import type { CopyState } from '../words.js';
import { decide } from './decide.js';

export interface Forecast {
  readonly verdict: 'none' | 'sync' | 'split' | 'refuse';
  readonly rule: string;
  readonly because: string;
  readonly source: string | null;
  readonly target: string | null;
  readonly how: 'bitmap' | 'full' | null;
  /** What would be sent: one chunk may be dirty on both sides, so without both bitmaps it lies between two figures. */
  readonly bytes: { readonly atLeast: number; readonly atMost: number };
  /** SPLIT: the bits of both say all that differs. */
  readonly commonAncestor: boolean | null;
}

/** `unionChunks`: dirty on either side, where both bitmaps were read. */
export const forecastOf = (mine: CopyState, peer: CopyState, chunkBytes: number, unionChunks: number | null = null): Forecast => {
  const verdict = decide(mine, peer);
  const { sizeBytes } = mine.identity;
  const { rule, because } = verdict;
  const nothing = { source: null, target: null, how: null, bytes: { atLeast: 0, atMost: 0 }, commonAncestor: null };
  if (verdict.kind === 'split') {
    const bytes = verdict.ancestor ? dirtyBytes(mine, peer, chunkBytes, unionChunks) : { atLeast: sizeBytes, atMost: sizeBytes };
    return { ...nothing, verdict: 'split', rule, because, bytes, commonAncestor: verdict.ancestor };
  }
  if (verdict.kind !== 'sync') return { ...nothing, verdict: verdict.kind, rule, because };
  const [source, target] = verdict.source === 'a' ? [mine, peer] : [peer, mine];
  const bytes = verdict.how === 'full' ? { atLeast: sizeBytes, atMost: sizeBytes } : dirtyBytes(mine, peer, chunkBytes, unionChunks);
  return { ...nothing, verdict: 'sync', rule, because, source: source.node, target: target.node, how: verdict.how, bytes };
};

const dirtyBytes = (mine: CopyState, peer: CopyState, chunkBytes: number, unionChunks: number | null): Forecast['bytes'] => {
  const { sizeBytes } = mine.identity;
  const bytes = (chunks: number): number => Math.min(sizeBytes, chunks * chunkBytes);
  if (unionChunks !== null) return { atLeast: bytes(unionChunks), atMost: bytes(unionChunks) };
  return { atLeast: bytes(Math.max(mine.dirtyChunks, peer.dirtyChunks)), atMost: bytes(mine.dirtyChunks + peer.dirtyChunks) };
};
