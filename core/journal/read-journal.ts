// Reads journals back: of one process, of a host, or of several hosts merged into one story. A torn last line is no error;
// a damaged line is left out. Within one boot the monotonic clock orders; between hosts only the wall clock can, for people.
import { readFile } from 'node:fs/promises';
import type { JournalEvent } from '../model/event.js';
import { listSegments, parseLine } from './segments.js';

/** All events of one or several journal directories, in the order in which they happened. */
export const readJournal = async (directories: string | readonly string[]): Promise<readonly JournalEvent[]> => {
  const paths = [directories].flat().flatMap((directory) => listSegments(directory).map(({ path }) => path));
  const texts = await Promise.all(paths.map(readIfThere));
  return mergeEvents(texts.flatMap((text) => text.split('\n').flatMap((line) => parseLine(line) ?? [])));
};

/** Orders events of any number of hosts, boots and processes. Stable: the same set gives the same order. */
export const mergeEvents = (events: readonly JournalEvent[]): readonly JournalEvent[] => {
  const lives = new Map<string, JournalEvent[]>();
  for (const event of events) {
    const key = `${event.node} ${event.bootId}`;
    const life = lives.get(key);
    if (life === undefined) lives.set(key, [event]);
    else life.push(event);
  }
  const streams = [...lives.values()].map((life) => ({ life: life.sort(withinOneBoot), next: 0 }));
  const merged: JournalEvent[] = [];
  for (;;) {
    let earliest: { stream: (typeof streams)[number]; event: JournalEvent } | null = null;
    for (const stream of streams) {
      const event = stream.life[stream.next];
      if (event !== undefined && (earliest === null || event.at < earliest.event.at)) earliest = { stream, event };
    }
    if (earliest === null) return merged;
    merged.push(earliest.event);
    earliest.stream.next += 1;
  }
};

const withinOneBoot = (one: JournalEvent, other: JournalEvent): number =>
  one.monoMs - other.monoMs || (one.source === other.source ? one.seq - other.seq : one.source < other.source ? -1 : 1);

/** A file may be rotated away between the listing and the reading. */
const readIfThere = async (path: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
};
