// What this node's copy was written alone since the copies parted: the ranges that its bitmap names, read from its process part by
// part. A range may hold less than it says (a chunk is the least that is counted, a crash counts whole extents), never more.
import { readFile } from 'node:fs/promises';
import { reasonOf, UnderstudyError } from 'understudy/plugin';
import { forecastOf } from '../handshake/forecast.js';
import { type ControlClientOptions, order } from '../process/control-client.js';
import type { BothCopies, DirtyPart } from '../process/protocol.js';
import { LIMIT_MS } from './orders.js';

export type Range = readonly [offset: number, length: number];

/** Ranges kept and printed; what is counted and exported is all of them. */
export const MOST_RANGES = 100_000;

export interface OwnChanges {
  readonly volume: string;
  readonly node: string;
  readonly volumeUuid: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  /** Which generation this copy has now, and which both had last. */
  readonly current: string;
  readonly parted: string;
  /** The copies have nothing in common that is known: all of this one goes. */
  readonly everything: boolean;
  readonly bytes: number;
  readonly rangeCount: number;
  readonly ranges: readonly Range[];
  readonly truncated: boolean;
}

/** Every range, in order. */
export async function* rangesOf(
  client: ControlClientOptions,
  changes: Pick<OwnChanges, 'everything' | 'sizeBytes'>,
): AsyncGenerator<Range> {
  if (changes.everything) return yield [0, changes.sizeBytes] as const;
  for (let from: number | null = 0; from !== null; ) {
    const part = (await order(client, { do: 'dirty', from }, LIMIT_MS)) as DirtyPart;
    yield* part.runs;
    from = part.next;
  }
  return undefined;
}

/** `looked`: both copies. Without a peer that is known, what differs is what the bitmap says. */
export const ownChanges = async (
  client: ControlClientOptions,
  volume: string,
  { mine, peer, chunkBytes }: BothCopies,
): Promise<OwnChanges> => {
  const { sizeBytes, volumeUuid } = mine.identity;
  const everything = peer !== null && forecastOf(mine, peer, chunkBytes).commonAncestor === false;
  const ranges: Range[] = [];
  let [bytes, rangeCount] = [0, 0];
  for await (const range of rangesOf(client, { everything, sizeBytes })) {
    bytes += range[1];
    rangeCount += 1;
    if (ranges.length < MOST_RANGES) ranges.push(range);
  }
  const generation = ({ epoch, counter, random }: typeof mine.current): string => `${epoch}.${counter}.${random.toString(16)}`;
  return {
    volume,
    node: mine.node,
    volumeUuid,
    sizeBytes,
    chunkBytes,
    current: generation(mine.current),
    parted: generation(mine.bitmapBase),
    everything,
    bytes,
    rangeCount,
    ranges,
    truncated: rangeCount > ranges.length,
  };
};

/** What `--list --json` has printed on the other node. Rejects with USAGE. */
export const readOther = async (file: string, { volumeUuid, node }: OwnChanges): Promise<OwnChanges> => {
  const wrong = (why: string): UnderstudyError =>
    new UnderstudyError('USAGE', `--against ${file}: ${why}`, {
      hint: 'Make it on the other node: understudy mirror resolve --list --json GROUP.RESOURCE',
    });
  let found: Partial<OwnChanges> | null;
  try {
    found = JSON.parse(await readFile(file, 'utf8')) as Partial<OwnChanges> | null;
  } catch (error) {
    throw wrong(reasonOf(error));
  }
  if (found === null || typeof found !== 'object' || !Array.isArray(found.ranges) || !found.ranges.every(isRange))
    throw wrong('it is not the list of the other node');
  if (found.volumeUuid !== volumeUuid) throw wrong(`it is of another volume: uuid ${String(found.volumeUuid)}`);
  if (found.node === node) throw wrong(`it is of this node, ${node}`);
  if (found.truncated === true) throw wrong(`it holds ${found.ranges.length} of ${String(found.rangeCount)} ranges: too many to compare`);
  return found as OwnChanges;
};

const isRange = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every((number) => Number.isSafeInteger(number) && (number as number) >= 0);

/** What both name; both are in order and without overlaps of their own. */
export const overlap = (one: readonly Range[], other: readonly Range[]): Range[] => {
  const both: Range[] = [];
  for (let [i, j] = [0, 0]; i < one.length && j < other.length; ) {
    const [[a, aLength], [b, bLength]] = [one[i] ?? [0, 0], other[j] ?? [0, 0]];
    const [from, to] = [Math.max(a, b), Math.min(a + aLength, b + bLength)];
    if (from < to) both.push([from, to - from]);
    if (a + aLength < b + bLength) i += 1;
    else j += 1;
  }
  return both;
};
