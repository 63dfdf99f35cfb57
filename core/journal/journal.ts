// The journal: facts that happened, appended as JSON lines. `write` never blocks and never throws into the caller's path;
// durability is grouped, and `sync` waits for it where an order demands it.
import type { NewEvent } from '../model/event.js';

export interface Journal {
  write(event: NewEvent): void;
  /** Resolves when everything written before is on disk; rejects with JOURNAL_UNWRITABLE. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
export const Journal: unique symbol = Symbol('Journal');
