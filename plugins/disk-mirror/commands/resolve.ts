// `understudy mirror resolve`: after a split one copy gives up what it alone has written. First it says how much that is (`--list`,
// `--json`: where; `--export`: the bytes), and does it only when the volume is named once more. Invariant: nothing is given up that
// was not counted before.
import { createInterface } from 'node:readline/promises';
import { UnderstudyError } from 'understudy/plugin';
import { order } from '../process/control-client.js';
import type { BothCopies } from '../process/protocol.js';
import { exportBlocks, rangesFile, syncDirectoryOf } from './export-blocks.js';
import type { Flags, Volume } from './mirror-command.js';
import { bytesText, clientOf, give, LIMIT_MS } from './orders.js';
import { type OwnChanges, overlap, ownChanges, type Range, rangesOf, readOther } from './own-changes.js';

/** Lines of a list for people. */
const LINES = 50;

export const resolve = async (volume: Volume, flags: Flags): Promise<number> => {
  const name = `${volume.group}.${volume.resource}`;
  const { victim, file, against, confirm } = wordsOf(flags);
  const looksOnly = flags['list'] === true || flags['json'] === true || file !== null;
  if (victim !== volume.node && !(victim === null && looksOnly && confirm === null))
    throw new UnderstudyError(
      'USAGE',
      `resolve is given on the node whose copy gives up its own changes: say --victim ${volume.node} there`,
      {
        hint: `What that node alone has written since the copies parted is lost. Look first, on both: understudy mirror resolve --list ${name}`,
      },
    );
  if (confirm !== null && confirm !== name)
    throw new UnderstudyError('USAGE', `resolve ${name} --accept-data-loss ${confirm}: the two names differ`, {
      hint: 'Say the name of the volume once more: what only this copy has is lost.',
    });
  const client = clientOf(volume);
  const looked = (await order(client, { do: 'look' }, LIMIT_MS + volume.options.peerTimeout)) as BothCopies;
  const changes = await ownChanges(client, name, looked);
  const other = against === null ? null : await readOther(against, changes);
  const both = other === null ? null : overlap(changes.ranges, other.ranges);
  say(changes, both, flags);
  if (file !== null) {
    if (looked.mine.role === 'primary')
      throw new UnderstudyError('REFUSED', `${name} serves on ${volume.node}: what it is written meanwhile cannot be kept whole`, {
        hint: 'The victim is the copy that does not serve: understudy switchover or stop the group first.',
      });
    const bytes = await exportBlocks(volume.options.backing, file, changes, rangesOf(client, changes));
    await syncDirectoryOf(file);
    process.stderr.write(`${bytesText(bytes)} kept in ${file}, and where they were in ${rangesFile(file)}\n`);
  }
  if (confirm === null && (looksOnly || !(await typed(volume.node, name)))) return done(victim, name, looksOnly);
  return give(volume, { do: 'resolve' }, `the copy of ${volume.node} gives up its own changes`);
};

const wordsOf = ({ victim, export: file, against, acceptDataLoss: confirm }: Flags) => {
  const word = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return { victim: word(victim), file: word(file), against: word(against), confirm: word(confirm) };
};

const done = (victim: string | null, name: string, looksOnly: boolean): number => {
  if (!looksOnly) throw new UnderstudyError('REFUSED', 'nothing was given up: the name of the volume was not typed');
  if (victim !== null)
    process.stderr.write(
      `Nothing was given up. To do so: understudy mirror resolve --victim ${victim} --accept-data-loss ${name} ${name}\n`,
    );
  return 0;
};

/** At a terminal the name is asked for; elsewhere it must stand on the command line. */
const typed = async (node: string, name: string): Promise<boolean> => {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UnderstudyError('USAGE', `resolve --victim ${node} needs the name of the volume once more`, {
      hint: `Run: understudy mirror resolve --victim ${node} --accept-data-loss ${name} ${name}`,
    });
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await asking.question(`Type ${name} to give this up, anything else to leave it: `)).trim() === name;
  } finally {
    asking.close();
  }
};

const say = (changes: OwnChanges, both: readonly Range[] | null, flags: Flags): void => {
  if (flags['json'] === true) {
    const overlaps = both === null ? {} : { overlap: { bytes: bytesIn(both), ranges: both } };
    process.stdout.write(`${JSON.stringify({ ...changes, ...overlaps }, null, 2)}\n`);
  } else process.stdout.write(`${linesOfChanges(changes, both, flags['list'] === true).join('\n')}\n`);
};

const bytesIn = (ranges: readonly Range[]): number => ranges.reduce((sum, [, length]) => sum + length, 0);

export const linesOfChanges = (changes: OwnChanges, both: readonly Range[] | null, list: boolean): readonly string[] => {
  const { volume, node, everything, bytes, rangeCount, chunkBytes, ranges, parted } = changes;
  const head = everything
    ? `${volume}: the copies have nothing in common that is known: all ${bytesText(bytes)} of ${node} would be overwritten`
    : `${volume}: ${node} would lose at most ${bytesText(bytes)} (${bytes} bytes, ${Math.ceil(bytes / chunkBytes)} blocks of ${bytesText(chunkBytes)}, ${rangeCount} ranges), written alone since generation ${parted}`;
  const more = rangeCount - LINES;
  return [
    head,
    ...(both === null ? [] : [`  of these the other copy has written ${bytesText(bytesIn(both))} too, in ${both.length} ranges`]),
    ...(list ? ranges.slice(0, LINES).map(([offset, length]) => `  ${offset} ${length}${mark(both, offset, length)}`) : []),
    ...(list && more > 0 ? [`  … and ${more} more: --json has up to 100 000`] : []),
  ];
};

const mark = (both: readonly Range[] | null, offset: number, length: number): string =>
  both?.some(([at, long]) => at < offset + length && offset < at + long) === true ? ' (the other copy too)' : '';
