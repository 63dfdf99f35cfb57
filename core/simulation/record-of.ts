// The lease record in a text of the simulated store. The same text comes several times in a row: sent, written, answered, and
// once more as the one before the next; it is parsed once. Two texts are remembered and no more.
import { parseRecord } from '../ownership/record-codec.js';
import type { LeaseRecord } from '../ownership/record.js';

interface Parsed {
  readonly text: string;
  readonly record: LeaseRecord | null;
}

let newest: Parsed = { text: '', record: null };
let before = newest;
/** null when it is no lease record. */
export const recordOf = (text: string): LeaseRecord | null => {
  if (text === newest.text) return newest.record;
  if (text === before.text) return before.record;
  const result = parseRecord(text);
  before = newest;
  newest = { text, record: result.kind === 'record' ? result.record : null };
  return newest.record;
};
