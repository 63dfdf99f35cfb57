// Mounts and loop devices of a host. A real machine's go with its power; the hosts of a lab share them with the machine that
// runs it, so they are taken away with the directory that they came from. Lazily: what stands behind them may be dead already.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tool } from './lab-process.js';

/** Ends whatever is mounted below this directory, stands on a file below it as a loop device, or is mounted from such a device. */
export const dropMounts = (directory: string): void => {
  // Of the hosts of a lab only those on Linux mount anything.
  if (!existsSync('/sys/block')) return;
  const below = (path: string): boolean => path.startsWith(`${directory}/`);
  const loops = loopDevices().filter(({ file }) => below(file));
  const mounted = mounts();
  for (const { at } of mounted.filter(({ source }) => loops.some(({ device }) => device === source))) tool(['umount', '--lazy', at]);
  for (const { device } of loops) tool(['losetup', '--detach', device]);
  for (const { at } of mounted.filter(({ at }) => below(at)).reverse()) tool(['umount', '--lazy', at]);
};

const loopDevices = (): readonly { readonly device: string; readonly file: string }[] =>
  readdirSync('/sys/block').flatMap((name) => {
    const backing = join('/sys/block', name, 'loop', 'backing_file');
    return existsSync(backing) ? [{ device: `/dev/${name}`, file: readFileSync(backing, 'utf8').trim() }] : [];
  });

const mounts = (): readonly { readonly source: string; readonly at: string }[] =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '))
    .map(([source = '', at = '']) => ({ source, at: at.replaceAll('\\040', ' ') }));
