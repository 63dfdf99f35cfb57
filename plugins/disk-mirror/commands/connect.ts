// `understudy mirror connect --what-if`: what this copy and the peer's would do if they met now, and why; nothing is done. Both
// processes say it of themselves where they run; where one does not, its metadata is read (the peer's from a file of that node).
// Exit 0: nothing to do, or a resync that begins by itself. 4: split or refused, which wants a person. 1: the peer is not known.
import { UnderstudyError } from 'understudy/plugin';
import { type Forecast, forecastOf } from '../handshake/forecast.js';
import { begunAnew, copyStateOf, type DirtyBits } from '../metadata/contract.js';
import { inspectMetadata } from '../metadata/inspect.js';
import { order } from '../process/control-client.js';
import { defaultMetadata } from '../process/places.js';
import type { BothCopies } from '../process/protocol.js';
import type { CopyState } from '../words.js';
import type { Flags, Volume } from './mirror-command.js';
import { bytesText, clientOf, LIMIT_MS } from './orders.js';

/** A copy and where its state is from; `bits` where its metadata was read. */
export interface Known {
  readonly copy: CopyState;
  readonly from: string;
  readonly bits: DirtyBits | null;
  readonly chunkBytes: number;
}

/** No boot has this name: whoever was off is taken to have been switched off. */
const NO_BOOT = '-';

export const connect = async (volume: Volume, flags: Flags): Promise<number> => {
  if (flags['whatIf'] !== true)
    throw new UnderstudyError('USAGE', 'the processes of a volume connect by themselves; connect --what-if says what they would do', {
      hint: 'After a split: understudy mirror resolve. After a pause or a refusal: understudy mirror resume.',
    });
  const file = typeof flags['peerMetadata'] === 'string' ? flags['peerMetadata'] : null;
  const asked = await askProcess(volume);
  const mine = asked === null ? await ofMetadata(volume, ownMetadata(volume), 'its metadata') : own(asked);
  const peer = file === null ? peerOf(volume, asked) : await ofMetadata(volume, file, file);
  const sameChunks = mine.bits !== null && peer.bits !== null && mine.chunkBytes === peer.chunkBytes;
  const union = sameChunks && mine.bits !== null && peer.bits !== null ? unionOf(mine.bits, peer.bits) : null;
  const forecast = forecastOf(mine.copy, peer.copy, mine.chunkBytes, union);
  process.stdout.write(
    flags['json'] === true
      ? `${JSON.stringify({ ...forecast, mine: mine.copy, peer: peer.copy, peerFrom: peer.from }, null, 2)}\n`
      : `${linesOfForecast(volume, mine, peer, forecast).join('\n')}\n`,
  );
  return forecast.verdict === 'split' || forecast.verdict === 'refuse' ? 4 : 0;
};

/** Null: no process runs here. */
export const askProcess = async (volume: Volume): Promise<BothCopies | null> => {
  try {
    return (await order(clientOf(volume), { do: 'look' }, LIMIT_MS + volume.options.peerTimeout)) as BothCopies;
  } catch (error) {
    if (error instanceof UnderstudyError && error.code === 'NO_DAEMON') return null;
    throw error;
  }
};

const own = ({ mine, chunkBytes }: BothCopies): Known => ({ copy: mine, from: 'its process', bits: null, chunkBytes });

const peerOf = ({ group, resource, peers }: Volume, asked: BothCopies | null): Known => {
  const hint = `Copy its metadata here and name it: understudy mirror connect --what-if --peer-metadata FILE ${group}.${resource}`;
  const name = peers.join(', ');
  if (asked === null)
    throw new UnderstudyError('NOT_FOUND', `no process of ${group}.${resource} runs here that could ask the copy on ${name}`, { hint });
  const { peer, peerNow, chunkBytes } = asked;
  if (peer === null) throw new UnderstudyError('NOT_FOUND', `the copy on ${name} is not known: ${String(peerNow)}`, { hint });
  const from = peerNow === true ? 'its process' : `what it said when it was met last (${peerNow})`;
  return { copy: peer, from, bits: null, chunkBytes };
};

const ownMetadata = ({ options, paths, group, resource }: Volume): string =>
  options.metadata ?? defaultMetadata(paths.state, group, resource);

const ofMetadata = async ({ node, bootId, options }: Volume, path: string, from: string): Promise<Known> => {
  const { superblock, bits, repairs } = await inspectMetadata(path);
  for (const repair of repairs) process.stderr.write(`${path}: ${repair}\n`);
  const anew = begunAnew(superblock, options.mode);
  const copy = copyStateOf(anew, superblock.node === node ? bootId : NO_BOOT, bits.count());
  return { copy, from, bits, chunkBytes: bits.chunkBytes };
};

const unionOf = (one: DirtyBits, other: DirtyBits): number => {
  let both = 0;
  for (let chunk = one.next(0); chunk !== -1 && chunk < other.chunks; chunk = one.next(chunk + 1)) if (other.has(chunk)) both += 1;
  return one.count() + other.count() - both;
};

export const linesOfForecast = (
  { group, resource }: Pick<Volume, 'group' | 'resource'>,
  mine: Known,
  peer: Known,
  forecast: Forecast,
): readonly string[] => [
  `${group}.${resource}: ${verdictText(forecast)}`,
  `  because: ${forecast.because} (rule ${forecast.rule})`,
  ...[mine, peer].map((known) => `  ${copyText(known)}`),
  ...next(forecast, `${group}.${resource}`, mine.copy.node, peer.copy.node),
];

const verdictText = ({ verdict, how, source, target, bytes, commonAncestor }: Forecast): string => {
  const { atLeast, atMost } = bytes;
  const figures = atLeast === atMost ? bytesText(atMost) : `${bytesText(atLeast)} to ${bytesText(atMost)}`;
  if (verdict === 'none') return 'nothing to do, both copies are equal';
  if (verdict === 'refuse') return 'REFUSED: the copies would not connect';
  if (verdict === 'split')
    return commonAncestor === true
      ? `SPLIT: both would stay as they are; ${figures} differ`
      : 'SPLIT: both would stay as they are; nothing says what differs, all would have to be copied';
  return `resync (${how === 'full' ? 'full' : 'of what is dirty'}) from ${source} to ${target}: ${figures}`;
};

const copyText = ({ copy, from, chunkBytes }: Known): string => {
  const { node, role, disk, current, dirtyChunks, primaryEpoch, forced } = copy;
  const was = primaryEpoch > 0 ? `, last primary in epoch ${primaryEpoch}` : '';
  const generation = `${current.epoch}.${current.counter}.${current.random.toString(16)}`;
  return `${node}: ${role}, ${disk}, generation ${generation}${was}${forced ? ', by force' : ''}, dirty ${bytesText(dirtyChunks * chunkBytes)}; from ${from}`;
};

const next = ({ verdict }: Forecast, name: string, here: string, there: string): readonly string[] =>
  verdict === 'split'
    ? [
        `  next: understudy mirror resolve --list ${name}, on ${here} and on ${there}: what each wrote alone`,
        `        understudy mirror resolve --victim NODE ${name}, on the node that gives up its own`,
      ]
    : [];
