// The files of one source's journal: `<source>-NNNNNN.jsonl`, numbered upwards, each a bounded run of JSON lines. Knows
// their names, cuts a torn end off, and says where the sequence goes on. No writing of events here.
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readdirSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { JournalEvent } from '../model/event.js';

/** One file of a journal. */
export interface Segment {
  readonly source: string;
  readonly number: number;
  readonly path: string;
}

/** Every segment in a directory, by source, then number. An absent directory holds none. */
export const listSegments = (directory: string, source?: string): readonly Segment[] => {
  const names = readDirectory(directory);
  const segments = names.flatMap((name) => {
    const [, from, digits] = /^(.+)-(\d{6,})\.jsonl$/.exec(name) ?? [];
    if (from === undefined || digits === undefined || (source !== undefined && from !== source)) return [];
    return [{ source: from, number: Number(digits), path: join(directory, name) }];
  });
  return segments.sort((one, other) => (one.source === other.source ? one.number - other.number : one.source < other.source ? -1 : 1));
};

export const segmentPath = (directory: string, source: string, number: number): string =>
  join(directory, `${source}-${String(number).padStart(6, '0')}.jsonl`);

/** Where writing goes on: the file, its size after the torn end was cut off, and the next sequence number. */
export interface Resume {
  readonly number: number;
  readonly bytes: number;
  readonly nextSeq: number;
  readonly cutBytes: number;
}

/** Makes the directory, cuts what a crash left half written, and finds the last sequence number, in older files if need be. */
export const resume = (directory: string, source: string): Resume => {
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  const segments = listSegments(directory, source);
  const last = segments.at(-1);
  if (last === undefined) return { number: 1, bytes: 0, nextSeq: 1, cutBytes: 0 };
  const { bytes, cutBytes } = cutTornEnd(last.path);
  for (const segment of segments.toReversed()) {
    const seq = lastSeq(segment.path);
    if (seq !== null) return { number: last.number, bytes, nextSeq: seq + 1, cutBytes };
  }
  return { number: last.number, bytes, nextSeq: 1, cutBytes };
};

/** Removes the oldest segments until at most `keep` are left. */
export const prune = (directory: string, source: string, keep: number): void => {
  const segments = listSegments(directory, source);
  for (const segment of segments.slice(0, Math.max(0, segments.length - keep))) unlinkSync(segment.path);
};

/** The event of one line, or null when the line is not one (torn, or damaged). */
export const parseLine = (line: string): JournalEvent | null => {
  if (!line.startsWith('{') || !line.endsWith('}')) return null;
  try {
    const value = JSON.parse(line) as Partial<JournalEvent>;
    return typeof value.seq === 'number' && typeof value.kind === 'string' && typeof value.monoMs === 'number'
      ? (value as JournalEvent)
      : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
};

const readDirectory = (directory: string): readonly string[] => {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
};

// An event line is a few hundred bytes; 1 MiB of tail holds the last good one even after a very long line.
const TAIL_BYTES = 1024 * 1024;

const tailOf = (fd: number): { text: Buffer; start: number; size: number } => {
  const size = fstatSync(fd).size;
  const start = Math.max(0, size - TAIL_BYTES);
  const buffer = Buffer.alloc(size - start);
  let got = 0;
  while (got < buffer.length) {
    const count = readSync(fd, buffer, got, buffer.length - got, start + got);
    if (count === 0) break;
    got += count;
  }
  return { text: buffer.subarray(0, got), start, size };
};

/** Cuts everything behind the last line that is whole. */
const cutTornEnd = (path: string): { bytes: number; cutBytes: number } => {
  const fd = openSync(path, 'r+');
  try {
    const { text, start, size } = tailOf(fd);
    let end = text.lastIndexOf(0x0a) + 1;
    while (end > 0) {
      const begin = text.lastIndexOf(0x0a, end - 2) + 1;
      if (parseLine(text.toString('utf8', begin, end - 1)) !== null) break;
      end = begin;
    }
    const bytes = start + end;
    if (bytes < size) ftruncateSync(fd, bytes);
    return { bytes, cutBytes: size - bytes };
  } finally {
    closeSync(fd);
  }
};

const lastSeq = (path: string): number | null => {
  const fd = openSync(path, 'r');
  try {
    const lines = tailOf(fd).text.toString('utf8').split('\n');
    for (const line of lines.reverse()) {
      const event = parseLine(line);
      if (event !== null) return event.seq;
    }
    return null;
  } finally {
    closeSync(fd);
  }
};
