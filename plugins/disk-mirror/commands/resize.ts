// `understudy mirror resize`: this node's copy becomes as large as its backing, which was grown before, while no process has it. What
// is new reads as zeroes on each copy, so nothing has to be sent for it. The copies connect again when both have the same size.
// Invariant: nothing of the old volume is touched, and each step may be the last one.
import { type Exec, parseSizeBytes, systemExec, UnderstudyError } from 'understudy/plugin';
import type { BlockFile } from '../io/block-file.js';
import { openBlockFile } from '../io/open-block-file.js';
import { allocate } from '../metadata/create.js';
import { type FileDevice, openFileDevice } from '../metadata/file-device.js';
import { growMetadata, type Growth, growthOf } from '../metadata/grow.js';
import { readSuperblocks } from '../metadata/read-superblocks.js';
import type { Superblock } from '../metadata/superblock.js';
import { defaultMetadata } from '../process/places.js';
import { SECTOR_BYTES } from '../words.js';
import { askProcess } from './connect.js';
import type { Flags, Volume } from './mirror-command.js';
import { bytesText } from './orders.js';

const ZERO_BYTES = 64 * 1024 * 1024;

export const resize = async (volume: Volume, flags: Flags): Promise<number> => {
  const { group, resource, node, options, paths } = volume;
  const name = `${group}.${resource}`;
  if ((await askProcess(volume)) !== null)
    throw new UnderstudyError('REFUSED', `the mirror process of ${name} runs: a copy is resized while nobody has it`, {
      hint: `systemctl stop understudy-mirror@${name}, grow the backing, resize, start it again. An application on the kernel's NBD device waits meanwhile.`,
    });
  const path = options.metadata ?? defaultMetadata(paths.state, group, resource);
  const data = await openBlockFile(options.backing, { sparse: options.sparse });
  try {
    const device = await openFileDevice(path);
    try {
      const { newest } = await readSuperblocks(device, path);
      refuseOther(volume, newest, path);
      const growth = growthOf(newest, wantedSize(flags, data, newest.layout.sizeBytes, options.backing));
      const words = `${name} on ${node}: ${newest.layout.sizeBytes} to ${growth.to.sizeBytes} bytes (${bytesText(growth.to.sizeBytes)})`;
      if (growth.to.sizeBytes === newest.layout.sizeBytes)
        process.stdout.write(`${name} on ${node}: it has ${newest.layout.sizeBytes} bytes already\n`);
      else if (flags['dryRun'] === true)
        process.stdout.write(
          `- zeroes behind byte ${newest.layout.sizeBytes}: ${options.backing}\n- metadata of ${growth.to.metadataBytes} bytes: ${path}\n- ${words}\n`,
        );
      else {
        await carryOut({ data, device, path, exec: systemExec() }, growth);
        process.stdout.write(
          `${words}\nStart its process again, then do the same on ${volume.peers.join(', ')}; the copies connect when both have this size.\n`,
        );
      }
      return 0;
    } finally {
      await device.close();
    }
  } finally {
    await data.close();
  }
};

const refuseOther = ({ cluster, group, resource, node }: Volume, { state }: Superblock, path: string): void => {
  const { identity } = state;
  if (identity.cluster === cluster && identity.group === group && identity.volume === resource && state.node === node) return;
  throw new UnderstudyError(
    'METADATA',
    `${path} is the metadata of ${identity.group}.${identity.volume} of ${identity.cluster} on ${state.node}`,
  );
};

const wantedSize = (flags: Flags, data: BlockFile, before: number, backing: string): number => {
  const typed = flags['size'];
  const most = Math.floor(data.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
  const wanted = typeof typed === 'string' ? parseSizeBytes(typed) : most;
  if (wanted === null || wanted % SECTOR_BYTES !== 0)
    throw new UnderstudyError('USAGE', `--size ${String(typed)} is not a size in steps of ${SECTOR_BYTES} bytes, e.g. 64GiB`);
  if (wanted > most || most < before)
    throw new UnderstudyError(
      'REFUSED',
      `${backing} has ${data.sizeBytes} bytes, the volume ${before}${wanted > most ? `, and it was to get ${wanted}` : ''}`,
      {
        hint: 'Grow the backing first, on both nodes: lvextend, the volume of the cloud, or fallocate -l SIZE FILE.',
      },
    );
  return wanted;
};

interface Places {
  readonly data: BlockFile;
  readonly device: FileDevice;
  readonly path: string;
  readonly exec: Exec;
}

const carryOut = async ({ data, device, path, exec }: Places, growth: Growth): Promise<void> => {
  const { from, to } = growth;
  for (let at = from.layout.sizeBytes; at < to.sizeBytes; at += ZERO_BYTES)
    await asked((done) => data.zero(at, Math.min(ZERO_BYTES, to.sizeBytes - at), false, done));
  await asked((done) => data.flush(done));
  // A partition that is too small says so here, before anything is written.
  if (device.sizeBytes < to.metadataBytes) await allocate(path, to.metadataBytes, exec);
  await growMetadata(device, growth);
};

const asked = (call: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) =>
    call((error) =>
      error === null
        ? resolve()
        : reject(new UnderstudyError('COMMAND_FAILED', `the backing cannot be written: ${error.message}`, { cause: error })),
    ),
  );
