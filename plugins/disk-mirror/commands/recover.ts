// `understudy mirror recover`: new metadata for a copy whose superblocks are both bad, or whose metadata is gone. What it was worth is
// lost with them, so it becomes the copy that gets everything from the other one; or, where that is lost too, somebody vouches for its
// data. Invariant: metadata that can be read is never replaced, and what is replaced is kept beside.
import { copyFileSync, constants } from 'node:fs';
import { join } from 'node:path';
import { reasonOf, systemExec, UnderstudyError } from 'understudy/plugin';
import { createCopy } from '../metadata/create.js';
import { salvage } from '../metadata/salvage.js';
import { defaultMetadata } from '../process/places.js';
import { requestOf } from './create.js';
import type { Flags, Volume } from './mirror-command.js';

export const recover = async (volume: Volume, flags: Flags): Promise<number> => {
  const { group, resource, node, options, paths, peers } = volume;
  const name = `${group}.${resource}`;
  const path = options.metadata ?? defaultMetadata(paths.state, group, resource);
  const found = await salvage(path);
  if (found.superblocks > 0)
    throw new UnderstudyError(
      'REFUSED',
      `${path} can be read: ${found.superblocks === 2 ? 'both copies' : 'one copy'} of its superblock ${found.superblocks === 2 ? 'are' : 'is'} good`,
      {
        hint: 'There is nothing to recover: one bad copy is mended when the process attaches it. See: understudy mirror status.',
      },
    );
  const uuid = uuidOf(flags, found.volumeUuids, path);
  const vouched = flags['first'] === true;
  if (flags['acceptDataLoss'] !== name)
    throw new UnderstudyError(
      'USAGE',
      vouched
        ? `recover --first: what is on ${options.backing} becomes the volume: for where the copy on ${peers.join(', ')} is lost too; where it is not, its data comes over this`
        : `recover: what is on ${options.backing} is overwritten by the copy on ${peers.join(', ')}, which must be whole (UpToDate)`,
      {
        hint: `Say the name of the volume once more: understudy mirror recover ${vouched ? '--first ' : ''}--accept-data-loss ${name} ${name}`,
      },
    );
  if (found.there) keep(path, join(paths.state, `${group}-${resource}.metadata.damaged`));
  const request = requestOf(volume, { ...flags, second: !vouched, first: vouched, uuid, overwrite: 'data,metadata' });
  const summary = await createCopy(request, { data: options.backing, metadata: path }, systemExec());
  process.stdout.write(`${name} on ${node}: ${summary}\nIts process takes it up within 10 s. Look: understudy mirror status ${name}\n`);
  return 0;
};

const uuidOf = (flags: Flags, found: readonly string[], path: string): string => {
  const typed = typeof flags['uuid'] === 'string' ? flags['uuid'] : null;
  const [only, ...others] = found;
  const hint = 'It stands in `understudy mirror status` of the other node: --uuid UUID';
  if (typed === null && only === undefined) throw new UnderstudyError('USAGE', `nothing in ${path} says of which volume it was`, { hint });
  if (typed === null && others.length > 0)
    throw new UnderstudyError('USAGE', `${path} has blocks of several volumes: ${found.join(', ')}`, { hint });
  if (typed !== null && only !== undefined && !found.includes(typed))
    throw new UnderstudyError('REFUSED', `${path} was of the volume ${found.join(', ')} and not of ${typed}`, {
      hint: 'Put right the path of the metadata in the config, or the uuid. Of another volume on purpose: create --overwrite metadata.',
    });
  return typed ?? only ?? '';
};

const keep = (from: string, to: string): void => {
  try {
    copyFileSync(from, to, constants.COPYFILE_EXCL);
    process.stdout.write(`What was there is kept: ${to}\n`);
  } catch (error) {
    throw new UnderstudyError('COMMAND_FAILED', `cannot keep ${from} as ${to}: ${reasonOf(error)}`, {
      hint: 'Move an earlier one away. Nothing was changed.',
    });
  }
};
