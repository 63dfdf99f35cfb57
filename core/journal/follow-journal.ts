// Follows growing journals: yields every event written from now on, by any process, in the order in which it is seen.
// Polls file sizes: it works on every file system, survives rotation, and costs one stat for each file and period.
import { open, stat } from 'node:fs/promises';
import type { JournalEvent } from '../model/event.js';
import type { Clock } from '../system/clock.js';
import { listSegments, parseLine } from './segments.js';

export interface FollowOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Default 100 ms. */
  readonly everyMs?: number;
}

/** Ends, without an error, when the signal fires. */
export async function* followJournal(
  directories: string | readonly string[],
  { clock, signal, everyMs = 100 }: FollowOptions,
): AsyncGenerator<JournalEvent> {
  const read = new Map<string, { offset: number; rest: string }>();
  const segments = () => [directories].flat().flatMap((directory) => listSegments(directory).map(({ path }) => path));
  for (const path of segments()) read.set(path, { offset: await sizeOf(path), rest: '' });
  while (!signal.aborted) {
    for (const path of segments()) {
      const place = read.get(path) ?? { offset: 0, rest: '' };
      read.set(path, place);
      const text = await readFrom(path, place.offset);
      place.offset += text.length;
      const lines = (place.rest + text.toString('utf8')).split('\n');
      place.rest = lines.pop() ?? '';
      for (const line of lines) {
        const event = parseLine(line);
        if (event !== null) yield event;
      }
    }
    await new Promise<void>((woken) => {
      const wake = () => {
        timer.cancel();
        signal.removeEventListener('abort', wake);
        woken();
      };
      const timer = clock.after(everyMs, wake);
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted) wake();
    });
  }
}

const sizeOf = async (path: string): Promise<number> => {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
};

const readFrom = async (path: string, offset: number): Promise<Buffer> => {
  const size = await sizeOf(path);
  if (size <= offset) return Buffer.alloc(0);
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size - offset, 4 * 1024 * 1024)), 0, null, offset);
    // A multi-byte character cut at the end of this read would come out wrong: stop at the last whole line.
    const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
    return buffer.subarray(0, end);
  } finally {
    await file.close();
  }
};
