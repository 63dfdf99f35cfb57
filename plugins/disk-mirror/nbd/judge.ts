// Which requests are refused before the export sees them, with which error. Pure, one table of rules in the order of the
// protocol document's demands. Source: doc/proto.md, "Error values", "Size constraints", "Command flags".
import { COMMAND, ERROR, FLAG } from './protocol.js';

/** What the client was told when it came. */
export interface SessionFacts {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly minimumBlockBytes: number;
  readonly maximumBlockBytes: number;
  readonly structured: boolean;
  /** Number of contexts selected. */
  readonly contexts: number;
}

export interface Refusal {
  readonly error: number;
  /** For people; at most a line. */
  readonly because: string;
}

const refusal = (name: keyof typeof ERROR, because: string): Refusal => ({ error: ERROR[name], because });

const UNKNOWN_COMMAND = refusal('EINVAL', 'this command is not known here');
const WRONG_FLAG = refusal('EINVAL', 'a flag that this command does not have here');
const NO_CONTEXTS = refusal('EINVAL', 'BLOCK_STATUS without a selected context');
const NOT_ZERO = refusal('EINVAL', 'offset and length of FLUSH are zero');
const READ_ONLY = refusal('EPERM', 'this export is read-only');
const NO_LENGTH = refusal('EINVAL', 'a length of zero');
const BEYOND = refusal('EINVAL', 'beyond the end of the export');
const NO_SPACE = refusal('ENOSPC', 'beyond the end of the export');
const UNALIGNED = refusal('EINVAL', 'offset or length is not a multiple of the minimum block size');
const TOO_LONG = refusal('EINVAL', 'longer than the maximum payload');
const TOO_LONG_TO_READ = refusal('EOVERFLOW', 'longer than the maximum payload');
export const ENDING = refusal('ESHUTDOWN', 'the server is ending');

/** Flags that each command may have; FUA is allowed on all of them. */
const FLAGS: Readonly<Record<number, number>> = {
  [COMMAND.read]: FLAG.fua | FLAG.df,
  [COMMAND.write]: FLAG.fua,
  [COMMAND.flush]: FLAG.fua,
  [COMMAND.trim]: FLAG.fua,
  [COMMAND.writeZeroes]: FLAG.fua | FLAG.noHole | FLAG.fastZero,
  [COMMAND.blockStatus]: FLAG.fua | FLAG.reqOne,
};

/** Null = the export may have it. Offsets above 2^53 come rounded; they are beyond any end. */
export const judge = (facts: SessionFacts, command: number, flags: number, offset: number, length: number): Refusal | null => {
  const allowed = FLAGS[command];
  if (allowed === undefined) return UNKNOWN_COMMAND;
  if ((flags & ~allowed) !== 0 || ((flags & FLAG.df) !== 0 && !facts.structured)) return WRONG_FLAG;
  if (command === COMMAND.flush) return offset === 0 && length === 0 ? null : NOT_ZERO;
  if (command === COMMAND.blockStatus && facts.contexts === 0) return NO_CONTEXTS;
  const changes = command === COMMAND.write || command === COMMAND.trim || command === COMMAND.writeZeroes;
  if (changes && facts.readOnly) return READ_ONLY;
  if (length === 0) return NO_LENGTH;
  if (offset + length > facts.sizeBytes) return command === COMMAND.write || command === COMMAND.writeZeroes ? NO_SPACE : BEYOND;
  if (offset % facts.minimumBlockBytes !== 0 || length % facts.minimumBlockBytes !== 0) return UNALIGNED;
  if (length > facts.maximumBlockBytes) {
    if (command === COMMAND.write) return TOO_LONG;
    if (command === COMMAND.read) return facts.structured ? TOO_LONG_TO_READ : TOO_LONG;
  }
  return null;
};
