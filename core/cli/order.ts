// One operator's order: sent, waited for with a deadline, and answered with what became of it. Every verb is a call of this.
import { type Command, Option } from 'commander';
import { parseDurationMs } from '../config/fields.js';
import { UnderstudyError } from '../errors/errors.js';
import { connect, type ConnectionOptions, connectionOptions } from './connection.js';
import { durationText, print, printJson, withProgress } from './output.js';

export interface OrderFlags extends ConnectionOptions {
  readonly why?: string;
  readonly wait: boolean;
  readonly timeout: string;
}

/** Adds what all orders have in common. */
export const orderOptions = (command: Command, { whyRequired = false } = {}): Command =>
  connectionOptions(command)
    .addOption(new Option('--why <text>', 'reason, kept in the journal and the orders record').makeOptionMandatory(whyRequired))
    .option('--no-wait', 'return when the order is recorded, not when it is done')
    .option('--timeout <duration>', 'how long to wait for it to be done', '60s');

/** Who ordered, for the record: the login name, with the user behind sudo. */
const orderedBy = (): string => process.env['SUDO_USER'] ?? process.env['USER'] ?? `uid ${process.getuid?.() ?? 'unknown'}`;

export const giveOrder = async (
  verb: string,
  target: {
    group?: string;
    node?: string;
    to?: string;
    confirm?: string;
    epoch?: number;
    force?: boolean;
    acceptDataLoss?: boolean;
    unwatched?: boolean;
  },
  flags: OrderFlags,
): Promise<void> => {
  const timeoutMs = parseDurationMs(flags.timeout);
  if (timeoutMs === null)
    throw new UnderstudyError('USAGE', `--timeout ${flags.timeout} is not a duration`, {
      hint: 'Write a number and a unit, e.g. --timeout 90s',
    });
  const what = [verb, target.group, target.node, target.to === undefined ? undefined : `to ${target.to}`]
    .filter((word) => word !== undefined)
    .join(' ');
  const answer = await withProgress(
    what,
    connect(flags).order({ verb, ...target, by: orderedBy(), why: flags.why ?? 'no reason was given', wait: flags.wait, timeoutMs }),
  );
  if (flags.json) return printJson(answer);
  print(`${what}: ${answer.message}${answer.elapsedMs === undefined ? '' : ` (${durationText(answer.elapsedMs)})`}`);
};
