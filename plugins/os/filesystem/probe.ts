// The deeper look of monitor: a block of the device, a file in the filesystem, each by a child with a deadline. A child without an
// answer is thrown on as it is, which is `unknown`: a disk that hangs is not known to be broken.
import { join } from 'node:path';
import { type MonitorContext, reasonOf, UnderstudyError } from 'understudy/plugin';
import type { FilesystemOptions } from './definition.js';
import type { Wanted } from './mounts.js';

const FILE = '.understudy-probe';

/** What is wrong, or null. Rejects when there was no answer in time. */
export const probeFault = async (
  { options: { probe, probeTimeout: timeoutMs, mount }, run }: MonitorContext<FilesystemOptions>,
  { path, number }: Wanted,
): Promise<string | null> => {
  const dd = async (what: string, words: readonly string[]): Promise<string | null> => {
    try {
      await run('dd', [...words, 'status=none'], { timeoutMs });
      return null;
    } catch (error) {
      if (error instanceof UnderstudyError && error.code === 'COMMAND_FAILED') return `${what}: ${reasonOf(error)}`;
      throw error;
    }
  };
  if (probe === 'none') return null;
  // Past the page cache: what is in memory says nothing about the disk.
  const device = path === null || number === null ? null : path;
  const read =
    device === null ? null : await dd(`${device} cannot be read`, [`if=${device}`, 'of=/dev/null', 'bs=4096', 'count=1', 'iflag=direct']);
  if (read !== null || probe === 'read') return read;
  return dd(`${mount} cannot be written`, ['if=/dev/zero', `of=${join(mount, FILE)}`, 'bs=512', 'count=1', 'conv=fsync']);
};
