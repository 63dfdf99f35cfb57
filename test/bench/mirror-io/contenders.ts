// The ways of doing file calls that docs/adr/0012 compares, behind one small door. Only the last two kinds are the product's.
import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import type { Done } from '../../../plugins/disk-mirror/io/block-file.js';
import { type BlockFileOptions, openBlockFile } from '../../../plugins/disk-mirror/io/open-block-file.js';
import { ringFile } from './worker-ring.js';

export interface Contender {
  read(into: Uint8Array, offset: number, done: Done): void;
  write(bytes: Uint8Array, offset: number, done: Done): void;
  flush(done: Done): void;
  close(): Promise<void>;
}

/** Every call in the event loop, whatever it waits for. */
const blocking = (path: string): Promise<Contender> => {
  const fd = openSync(path, 'r+');
  const after = (done: Done) => void setImmediate(done, null);
  return Promise.resolve({
    read: (into, offset, done) => {
      readSync(fd, into, 0, into.length, offset);
      after(done);
    },
    write: (bytes, offset, done) => {
      writeSync(fd, bytes, 0, bytes.length, offset);
      after(done);
    },
    flush: (done) => {
      fdatasyncSync(fd);
      after(done);
    },
    close: () => {
      closeSync(fd);
      return Promise.resolve();
    },
  });
};

const ours =
  (options: BlockFileOptions) =>
  (path: string): Promise<Contender> =>
    openBlockFile(path, { sparse: true, ...options });

export const CONTENDERS: Readonly<Record<string, (path: string) => Promise<Contender>>> = {
  'blocking calls': blocking,
  'workers, message': ringFile('message'),
  'workers, waitAsync': ringFile('waitAsync'),
  'libuv pool': ours({ instant: false, lanes: 4 }),
  'block file': ours({}),
  'block file, direct': ours({ direct: true }),
};
