// `understudy mirror VERB GROUP.RESOURCE`: what an operator does with one volume on this node. `create` makes the copy while no
// process has it; everything else is an order to the volume's process. Dangerous verbs want to be said in full.
import { type CommandDefinition, type LocalResource, UnderstudyError } from 'understudy/plugin';
import type { DiskMirrorOptions } from '../agent/definition.js';
import { connect } from './connect.js';
import { create } from './create.js';
import { give, showStatus } from './orders.js';
import { recover } from './recover.js';
import { resize } from './resize.js';
import { resolve } from './resolve.js';

export type Flags = Readonly<Record<string, unknown>>;
export type Volume = LocalResource<DiskMirrorOptions>;

const VERBS: Readonly<Record<string, (volume: Volume, flags: Flags) => Promise<number>>> = {
  create,
  status: showStatus,
  pause: (volume) => give(volume, { do: 'pause' }, 'resyncs from this node wait'),
  resume: (volume) => give(volume, { do: 'resume' }, 'resyncs go on; a connection that was given up is tried again'),
  resync: (volume, flags) => give(volume, { do: 'resync', kind: flags['full'] === true ? 'full' : 'checksum' }, 'the resync begins'),
  verify: (volume, flags) =>
    give(volume, { do: 'verify', repair: flags['repair'] === true }, 'the copies are compared; see the journal for what differs'),
  resolve,
  connect,
  resize,
  recover,
};

export const mirrorCommand: CommandDefinition = {
  summary: 'A mirrored volume on this node: create, status, pause, resume, resync, verify, resolve, connect, resize, recover',
  resource: 'disk-mirror',
  arguments: [{ name: 'verb', help: Object.keys(VERBS).join(', ') }],
  options: [
    { flags: '--first', help: 'create, recover: what is on the backing is the volume, and stays' },
    { flags: '--second', help: 'create: everything comes from the other node' },
    { flags: '--both-zero', help: 'create: both backings are all zero, nothing need be sent' },
    { flags: '--seeded', help: 'create: the backing was copied from the other node; all of it is compared by checksum' },
    { flags: '--uuid <uuid>', help: 'create, recover: of the volume, as the first node’s create has printed it' },
    { flags: '--size <size>', help: 'create: of a backing file that is to be made, e.g. 64GiB; resize: less than the whole backing' },
    { flags: '--chunk <size>', help: 'create, recover: bytes of a bit, as status of the other node shows it; of a volume that was grown' },
    { flags: '--overwrite <what>', help: 'create: data, metadata, or data,metadata: what is there may go' },
    { flags: '--dry-run', help: 'create, resize: say what would be done' },
    { flags: '--full', help: 'resync: everything, not only what differs by checksum' },
    { flags: '--repair', help: 'verify: chunks that differ are sent again' },
    { flags: '--victim <node>', help: 'resolve: this node, whose own changes are given up' },
    { flags: '--list', help: 'resolve: the ranges that this node has written alone; nothing is given up' },
    { flags: '--export <file>', help: 'resolve: keep these bytes in a new file, and where they were in FILE.ranges' },
    { flags: '--against <file>', help: 'resolve: what the other node printed with --list --json; says what both have written' },
    { flags: '--accept-data-loss <volume>', help: 'resolve, recover: the name once more' },
    { flags: '--what-if', help: 'connect: say what both copies would do, and why; do nothing' },
    { flags: '--peer-metadata <file>', help: 'connect: the other node’s metadata, where its process cannot be asked' },
    { flags: '--json', help: 'status, resolve, connect: for programs' },
  ],
  example: 'understudy mirror create --first orders-db.data',
  run: async (flags, [verb = ''], resource) => {
    const carryOut = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
    if (carryOut === undefined)
      throw new UnderstudyError('USAGE', `there is no "mirror ${verb}"; there are: ${Object.keys(VERBS).join(', ')}`);
    if (resource === undefined) throw new UnderstudyError('USAGE', 'name the volume: GROUP.RESOURCE');
    return carryOut(resource as Volume, flags);
  },
};
