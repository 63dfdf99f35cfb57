// What happened to a mirror between two looks at it, for hooks: the copies parted, a resync began, a resync ended. Pure. A resync may be
// shorter than the time between two looks: where the driver counts them, the counts tell. Invariant: parting is told once until the
// copies were connected again, whatever the connection says in between.
import type { MirrorStatus } from '../model/mirror.js';

export type MirrorNewsKind = 'split' | 'resync-start' | 'resync-end';

export interface MirrorNews {
  readonly kind: MirrorNewsKind;
  readonly reason: string;
}

/** What was known before; made by `mirrorNews`. */
export interface MirrorMemory {
  readonly apart: boolean;
  readonly resyncing: boolean;
  readonly begun: number | null;
  readonly ended: number | null;
}

/** `before`: null at the first look of this controller; what is under way then is told. */
export const mirrorNews = (
  before: MirrorMemory | null,
  now: MirrorStatus,
): { readonly memory: MirrorMemory; readonly news: readonly MirrorNews[] } => {
  const { connection, resync = null, resyncs } = now;
  const apart = connection === 'split' || (before?.apart === true && connection !== 'connected');
  const memory: MirrorMemory = { apart, resyncing: resync !== null, begun: resyncs?.begun ?? null, ended: resyncs?.ended ?? null };
  const news: MirrorNews[] = [];
  if (apart && before?.apart !== true) news.push({ kind: 'split', reason: 'both copies were written apart from each other' });
  const running = resync === null ? 'a resync' : `a resync to ${resync.to}, ${resync.ofBytes} bytes`;
  const begun = grew(before?.begun, memory.begun) ?? (resync !== null && before?.resyncing !== true);
  const ended = before !== null && (grew(before.ended, memory.ended) ?? (resync === null && before.resyncing));
  const start: MirrorNews = { kind: 'resync-start', reason: `${running} began` };
  const end: MirrorNews = { kind: 'resync-end', reason: 'a resync has ended: both copies are equal' };
  if (ended && begun && resync !== null && before?.resyncing === true) news.push(end, start);
  else news.push(...(begun ? [start] : []), ...(ended ? [end] : []));
  return { memory, news };
};

/** Null: nobody counts, or nothing is known to compare with. Less than before: counted anew by a driver that began anew. */
const grew = (before: number | null | undefined, now: number | null): boolean | null =>
  now === null || before === null || before === undefined ? null : now < before ? now > 0 : now > before;
