// What filesystem is and what can be said to it. The code behind it: filesystem.ts.
import { choice, defineAgent, durationMs, flag, options, text, z } from 'understudy/plugin';

const absolute = (describe: string) =>
  text(describe).regex(/^(\/[^/\0\n]+)+$/, { error: 'write an absolute path without a slash at its end' });

export const filesystemOptions = options({
  device: text(
    'What is mounted: a block device, best by a name that stays, or ${data.device} of a mirror; or what the type takes (host:/export)',
  ).min(1),
  mount: absolute('Where it is mounted').refine((path) => !path.split('/').includes('..'), { error: 'write the path without ..' }),
  type: text('Type of the filesystem; without it mount finds out')
    .regex(/^[a-z0-9._-]+$/, { error: 'write a type as mount takes it, e.g. ext4' })
    .optional(),
  options: text('Mount options as mount takes them after -o, e.g. noatime')
    .regex(/^[^\s\0]+$/, { error: 'write them with commas and without blanks' })
    .optional(),
  fsck: choice('Check before it is mounted: never; auto repairs what is safe to repair (-p); force also where it looks clean', [
    'never',
    'auto',
    'force',
  ]).default('auto'),
  probe: choice('How deep monitor looks: none = the table of mounts; read = also a block of the device; write = also a file in it', [
    'none',
    'read',
    'write',
  ]).default('none'),
  probeTimeout: durationMs('A probe without an answer after so long makes the state unknown', 5_000, { minMs: 100, maxMs: 60_000 }),
  makeDirectory: flag('Make the directory when it is missing', true),
  onBusy: choice('Processes that still use it at stop: end ends them, after listing them; fail leaves them and the stop fails', [
    'end',
    'fail',
  ]).default('end'),
  grace: durationMs('So long after TERM they are killed', 5_000, { minMs: 0, maxMs: 600_000 }),
});

export type FilesystemOptions = z.output<typeof filesystemOptions>;

export const filesystem = defineAgent({
  summary: 'Mounts a filesystem on the active node; Linux.',
  options: filesystemOptions,
  // Behind a mirror every write of an old epoch is refused; on any other device two nodes would write to one filesystem (SAFETY a.7b).
  fencedByEpoch: ({ device }) => device.startsWith('/dev/understudy/'),
  defaults: { everyMs: 5_000, monitorTimeoutMs: 10_000, startTimeoutMs: 300_000, stopTimeoutMs: 60_000 },
  hardStop: ({ options: { mount } }) => [`mount ${mount}`],
  agent: () => import('./filesystem.js').then(({ Filesystem }) => Filesystem),
});
