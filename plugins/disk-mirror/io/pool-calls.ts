// File calls on the threads of Node's pool: they may wait for a device as long as it takes, and the event loop does not.
// All or an error: a short read or write of a file of fixed size is one.
import { fdatasync, read, write } from 'node:fs';
import type { Done } from './block-file.js';

export interface PoolCalls {
  read(into: Uint8Array, offset: number, done: Done): void;
  write(bytes: Uint8Array, offset: number, done: Done): void;
  flush(done: Done): void;
  /** What is held besides the file itself. */
  close(): void;
}

export const bufferedCalls = (fd: number): PoolCalls => ({
  read: (into, offset, done) => readAll(fd, into, offset, done),
  write: (bytes, offset, done) => writeAll(fd, bytes, offset, done),
  flush: (done) => fdatasync(fd, done),
  close: () => {},
});

/** A read may be cut short (2 GiB limit, cold and hot pages met): it goes on; the end of the file is an error. */
export const readAll = (fd: number, into: Uint8Array, offset: number, done: Done): void => {
  read(fd, into, 0, into.length, offset, (error, count) => {
    if (error !== null) return done(error);
    if (count === into.length) return done(null);
    if (count === 0) return done(new Error(`the file ended at ${offset}: ${into.length} bytes were to be read there`));
    readAll(fd, into.subarray(count), offset + count, done);
  });
};

export const writeAll = (fd: number, bytes: Uint8Array, offset: number, done: Done): void => {
  write(fd, bytes, 0, bytes.length, offset, (error, count) => {
    if (error !== null) return done(error);
    // No second try of the rest: a disk that takes less than it was given is broken or full (SAFETY b.1).
    done(count === bytes.length ? null : new Error(`short write: ${count} of ${bytes.length} bytes at ${offset}`));
  });
};
