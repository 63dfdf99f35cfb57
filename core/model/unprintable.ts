// Characters that no text of others may bring into a log, a journal or a terminal.

/** What would write a line of its own, move a cursor, or show text in another order than it has: controls, line separators, bidirectional marks. */
export const UNPRINTABLE = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u;
