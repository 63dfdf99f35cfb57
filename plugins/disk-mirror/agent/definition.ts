// What disk-mirror is and what can be said to it. The code behind it: disk-mirror-agent.ts; the process that carries the
// bytes: process/. The same options are read by both.
import { choice, defineAgent, durationMs, flag, integer, options, sizeBytes, text, z } from 'understudy/plugin';
import { controlSocket, defaultDevice } from '../process/places.js';

const shape = options({
  backing: text('Block device or file that holds this node’s copy; `on:` gives each node its own'),
  metadata: text('File or partition for bitmap, activity log and superblock; default: in the state directory').optional(),
  mode: choice('sync: answered when both copies have it. semi-sync: when the standby has received it. async: when it is written here', [
    'sync',
    'semi-sync',
    'async',
  ]).default('sync'),
  order: choice('sync: remote-first writes here only what the standby has; parallel writes both at once', [
    'remote-first',
    'parallel',
  ]).default('remote-first'),
  attach: choice('How applications reach it: the kernel’s NBD client, nbdfuse with a loop device, or the NBD socket alone', [
    'nbd',
    'nbdfuse',
    'none',
  ]).default('nbd'),
  device: text(
    'The path under which applications find it: a link to the attached device; default /dev/understudy/GROUP-RESOURCE',
  ).optional(),
  nbdDevice: text('attach: nbd — the kernel device to use, e.g. /dev/nbd3; default: the first free one').optional(),
  peerTimeout: durationMs('A write that the standby has not answered for so long ends the connection', 3_000, {
    minMs: 200,
    maxMs: 60_000,
  }),
  maxLag: sizeBytes('async: answered and not yet at the standby, at most', 64 * 1024 * 1024),
  maxLagTime: durationMs('async: the oldest of it, at most', 10_000, { minMs: 100, maxMs: 3_600_000 }),
  whenFull: choice('async: what happens at the limit: writes wait, or the standby falls behind and is resynced', [
    'throttle',
    'behind',
  ]).default('throttle'),
  resyncMin: sizeBytes('Resync: so many bytes a second whatever the application does', 4 * 1024 * 1024),
  resyncMax: sizeBytes('Resync: never more a second', 1024 * 1024 * 1024),
  resyncLatency: durationMs('Resync gives way while the application’s writes take longer than this', 20, { minMs: 1, maxMs: 10_000 }),
  activeExtents: integer('Extents of 4 MiB that may be written without a metadata write; each is resynced after a crash', {
    min: 16,
    max: 65_536,
  }).default(1_024),
  flushEvery: durationMs('Bits of what nobody flushes are cleared so often', 5_000, { minMs: 100, maxMs: 600_000 }),
  sparse: flag('The backing file may have holes: a full disk then fails a write', false),
  direct: flag('Past the page cache (O_DIRECT)', false),
  compress: choice('For slow links', ['none', 'zstd']).default('none'),
  insecure: flag('Between loopback addresses only: no TLS on the mirror link', false),
});

export const diskMirrorOptions = shape.superRefine(({ backing, metadata, attach, device, nbdDevice }, context) => {
  const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  if (!backing.startsWith('/')) complain('backing', `"${backing}" is not an absolute path`);
  if (metadata !== undefined && !metadata.startsWith('/')) complain('metadata', `"${metadata}" is not an absolute path`);
  if (device !== undefined && !device.startsWith('/')) complain('device', `"${device}" is not an absolute path`);
  if (metadata === backing) complain('metadata', 'metadata never lies inside the data: name another file or partition');
  if (nbdDevice !== undefined && attach !== 'nbd') complain('nbdDevice', `belongs to attach: nbd, not to attach: ${attach}`);
  if (nbdDevice !== undefined && !/^\/dev\/nbd\d+$/.test(nbdDevice)) complain('nbdDevice', `"${nbdDevice}" is not /dev/nbdN`);
});

export type DiskMirrorOptions = z.output<typeof diskMirrorOptions>;

export const diskMirror = defineAgent({
  summary: 'Mirrors a block device to the other node, block by block, and serves it on the active one.',
  options: diskMirrorOptions,
  // Its process runs on every node, with or without the lease: what moves is the role.
  operations: 'on-only',
  promotable: true,
  mirror: true,
  process: 'mirror',
  outputs: ({ options: { device }, group, resource }) => ({ device: device ?? defaultDevice(group, resource) }),
  // A late write of an old epoch is refused by the peer, and never acknowledged (SAFETY a.7b, a.11).
  fencedByEpoch: ({ mode }) => mode === 'sync',
  defaults: { everyMs: 2_000, monitorTimeoutMs: 5_000, startTimeoutMs: 30_000, stopTimeoutMs: 60_000 },
  // First the answers to the application end, with errors; then whatever carries the device.
  hardStop: ({ runDir, cgroup, options: { attach, nbdDevice } }) => [
    `freeze ${controlSocket(runDir)}`,
    ...(attach === 'nbd' && nbdDevice !== undefined ? [`nbd ${nbdDevice}`] : []),
    ...(attach === 'nbdfuse' && cgroup !== null ? [`cgroup ${cgroup}`] : []),
  ],
  agent: () => import('./disk-mirror-agent.js').then(({ DiskMirrorAgent }) => DiskMirrorAgent),
});
