// The lease record in a text of the simulated store. The same text comes several times in a row: sent, written, answered; it
// is parsed once. Nothing else is remembered.
import { parseRecord } from '../ownership/record-codec.js';
import type { LeaseRecord } from '../ownership/record.js';

let parsedText = '';
let parsed: LeaseRecord | null = null;
/** null when it is no lease record. */
export const recordOf = (text: string): LeaseRecord | null => {
  if (text !== parsedText) {
    const result = parseRecord(text);
    parsedText = text;
    parsed = result.kind === 'record' ? result.record : null;
  }
  return parsed;
};
