// `understudy mirror create`: the metadata of this node's copy, and its backing file where there is none. What the copy is worth
// must be said; nothing that holds data is overwritten unless that is said too.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseSizeBytes, systemExec, UnderstudyError } from 'understudy/plugin';
import type { CreateRequest, InitialCopy } from '../metadata/create-plan.js';
import { createCopy, examineCreate } from '../metadata/create.js';
import { defaultMetadata } from '../process/places.js';
import type { Flags, Volume } from './mirror-command.js';

const INITIAL: readonly (readonly [flag: string, initial: InitialCopy])[] = [
  ['first', 'first'],
  ['second', 'second'],
  ['bothZero', 'both-zero'],
  ['seeded', 'seeded'],
];
const UUID = /^[0-9a-f]{32}$/;

export const create = async (volume: Volume, flags: Flags): Promise<number> => {
  const request = requestOf(volume, flags);
  const { options, paths, group, resource } = volume;
  const places = { data: options.backing, metadata: options.metadata ?? defaultMetadata(paths.state, group, resource) };
  if (flags['dryRun'] === true) {
    const plan = await examineCreate(request, places);
    const lines = plan.ok
      ? plan.steps.map((step) =>
          step.do === 'allocate' ? `allocate ${step.sizeBytes} bytes: ${step.path} (${step.because})` : `write metadata: ${step.path}`,
        )
      : plan.problems;
    process.stdout.write(`${lines.map((line) => `- ${line}`).join('\n')}\n`);
    return plan.ok ? 0 : 1;
  }
  mkdirSync(dirname(places.metadata), { recursive: true, mode: 0o700 });
  const summary = await createCopy(request, places, systemExec());
  process.stdout.write(`${group}.${resource} on ${volume.node}: ${summary}\n`);
  if (flags['uuid'] === undefined)
    process.stdout.write(
      `On ${volume.peers.join(', ')}: understudy mirror create ${nextFlag(request.initial)} --uuid ${request.identity.volumeUuid}${sameAgain(flags)} ${group}.${resource}\n`,
    );
  return 0;
};

/** What was typed here and must be the same there. */
const sameAgain = (flags: Flags): string =>
  ['size', 'chunk'].flatMap((name) => (wordOf(flags, name) === null ? [] : [` --${name} ${wordOf(flags, name)}`])).join('');

/** What the other node says, after this one. */
const nextFlag = (initial: InitialCopy): string => (initial === 'both-zero' ? '--both-zero' : initial === 'first' ? '--second' : '--first');

export const requestOf = (volume: Volume, flags: Flags): CreateRequest => {
  const chosen = INITIAL.filter(([flag]) => flags[flag] === true);
  const [only] = chosen;
  if (chosen.length !== 1 || only === undefined)
    throw new UnderstudyError('USAGE', 'say what this copy is worth: one of --first, --second, --both-zero, --seeded', {
      hint: 'On the node whose data counts: --first. On the other one: --second.',
    });
  const [, initial] = only;
  const uuid = wordOf(flags, 'uuid');
  if (uuid !== null && !UUID.test(uuid))
    throw new UnderstudyError('USAGE', `--uuid ${uuid} is not 32 hex digits: take what create has printed on the other node`);
  const [peer] = volume.peers;
  if (peer === undefined) throw new UnderstudyError('USAGE', `${volume.group} has no other node`);
  const size = sizeOf('size', wordOf(flags, 'size'));
  const chunkBytes = sizeOf('chunk', wordOf(flags, 'chunk'));
  return {
    identity: {
      cluster: volume.cluster,
      group: volume.group,
      volume: volume.resource,
      volumeUuid: uuid ?? randomBytes(16).toString('hex'),
    },
    node: volume.node,
    peer,
    mode: volume.options.mode,
    initial,
    slots: volume.options.activeExtents,
    allowSparse: volume.options.sparse,
    overwrite: overwriteOf(wordOf(flags, 'overwrite')),
    ...(size === null ? {} : { sizeBytes: size }),
    ...(chunkBytes === null ? {} : { chunkBytes }),
  };
};

/** The option as it was typed, null = it was not. */
const wordOf = (flags: Flags, name: string): string | null => {
  const value = flags[name];
  return typeof value === 'string' ? value : null;
};

const sizeOf = (flag: string, text: string | null): number | null => {
  if (text === null) return null;
  const bytes = parseSizeBytes(text);
  if (bytes === null) throw new UnderstudyError('USAGE', `--${flag} ${text} is not a size: write a number and a unit, e.g. 64GiB`);
  return bytes;
};

const overwriteOf = (text: string | null): readonly ('data' | 'metadata')[] =>
  (text?.split(',') ?? []).map((word) => {
    if (word === 'data' || word === 'metadata') return word;
    throw new UnderstudyError('USAGE', `--overwrite takes data, metadata, or data,metadata; not "${word}"`);
  });
