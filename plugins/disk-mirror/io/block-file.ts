// The door to a copy's bytes. Callbacks, not promises: this is asked 100 000 times a second. Every call answers exactly once,
// never before it returns. After the first error of a write or a flush nothing more may be believed of the file (SAFETY b.1):
// who owns it marks the disk Failed and does not try again.

export type Done = (error: Error | null) => void;

/** A run of bytes that is allocated, or a hole that reads as zeroes. */
export interface AllocatedRun {
  readonly offset: number;
  readonly length: number;
  readonly hole: boolean;
}

export interface BlockFile {
  /** Bytes that can be addressed; a multiple of 512. */
  readonly sizeBytes: number;
  /** Fills `into` from `offset`. */
  read(into: Uint8Array, offset: number, done: Done): void;
  /** Writes all of `bytes`. They must stay as they are until it answers. */
  write(bytes: Uint8Array, offset: number, done: Done): void;
  /** Reads as zeroes afterwards. `mayPunch`: the space may be given back. */
  zero(offset: number, length: number, mayPunch: boolean, done: Done): void;
  /** The content no longer matters. */
  trim(offset: number, length: number, done: Done): void;
  /** Everything answered before this call is durable when it answers. */
  flush(done: Done): void;
  /** Where data lies, in order and without gaps over the range asked for; a file that cannot tell says one run of data. */
  allocated(offset: number, length: number): Promise<readonly AllocatedRun[]>;
  /** Waits for what is under way; nothing may be asked afterwards. */
  close(): Promise<void>;
}
