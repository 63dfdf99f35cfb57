// What is asked of a volume's process by hand, and how its answer is shown.
import { connectFramed, listenFramed, type LocalSockets, systemClock } from 'understudy/plugin';
import { type ControlClientOptions, order, viewVolume } from '../process/control-client.js';
import { controlSocket, exportName, resourceRunDir } from '../process/places.js';
import type { Order, VolumeView } from '../process/protocol.js';
import type { Flags, Volume } from './mirror-command.js';

export const LIMIT_MS = 10_000;
const SOCKETS: LocalSockets = { listen: listenFramed, connect: (path) => connectFramed(path) };

export const clientOf = ({ group, resource, paths }: Volume): ControlClientOptions => ({
  sockets: SOCKETS,
  clock: systemClock,
  path: controlSocket(resourceRunDir(paths.run, group, resource)),
  volume: exportName(group, resource),
});

export const give = async (volume: Volume, what: Order, done: string): Promise<number> => {
  await order(clientOf(volume), what, LIMIT_MS);
  process.stdout.write(`${volume.group}.${volume.resource}: ${done}\n`);
  return 0;
};

export const showStatus = async (volume: Volume, flags: Flags): Promise<number> => {
  const view = await viewVolume(clientOf(volume), LIMIT_MS);
  process.stdout.write(flags['json'] === true ? `${JSON.stringify(view, null, 2)}\n` : `${linesOf(volume, view).join('\n')}\n`);
  return 0;
};

/** The view in words. */
export const linesOf = ({ group, resource, node }: Pick<Volume, 'group' | 'resource' | 'node'>, view: VolumeView): readonly string[] => {
  const {
    role,
    disk,
    peer,
    peerDisk,
    connection,
    path,
    because,
    mode,
    resync,
    dirtyBytes,
    lagBytes,
    lagMs,
    suspended,
    kernelDevice,
    volumeUuid,
    epoch,
  } = view;
  return [
    `${group}.${resource} on ${node}: ${role}, ${disk}, ${mode}${epoch > 0 ? `, epoch ${epoch}` : ''}${view.serving ? ', serving' : ''}`,
    `  ${peer}: ${peerDisk}, ${connection}${path === null ? '' : ` over ${path}`}: ${because}`,
    ...(suspended === null ? [] : [`  writes wait: ${suspended}`]),
    ...(resync === null
      ? []
      : [
          `  resync (${resync.kind}) as ${resync.direction}: ${percent(resync.doneBytes, resync.ofBytes)} of ${bytesText(resync.ofBytes)}${resync.paused ? ', paused' : ''}${resync.etaMs === null ? '' : `, ${Math.ceil(resync.etaMs / 1000)} s left`}`,
        ]),
    `  may differ: ${bytesText(dirtyBytes)}${mode === 'async' ? `; the standby lags by ${bytesText(lagBytes)}, ${(lagMs / 1000).toFixed(1)} s` : ''}`,
    ...(kernelDevice === null ? [] : [`  device: ${kernelDevice}`]),
    ...(volumeUuid === null ? [] : [`  uuid: ${volumeUuid}, ${view.sizeBytes} bytes, chunks of ${bytesText(view.chunkBytes)}`]),
    ...view.alarms.map((alarm) => `  alarm: ${alarm}`),
  ];
};

const percent = (part: number, whole: number): string => `${whole === 0 ? 100 : Math.floor((100 * part) / whole)} %`;

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
export const bytesText = (bytes: number): string => {
  const step = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${step === 0 ? bytes : (bytes / 1024 ** step).toFixed(1)} ${UNITS[step]}`;
};
