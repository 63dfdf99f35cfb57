// What the NBD server serves, as it sees it. The server speaks the protocol, checks ranges and sizes, and knows nothing of
// mirrors; what stands behind answers each request exactly once, in any order, before or after the call returns. A second
// answer to one request is a programmer error and ends the process.

export type NbdErrorName = 'EPERM' | 'EIO' | 'ENOMEM' | 'EINVAL' | 'ENOSPC' | 'EOVERFLOW' | 'ENOTSUP' | 'ESHUTDOWN';

/** The answer to one request; null = done. */
export type NbdDone = (error: NbdErrorName | null) => void;

/** A part of what was read, counted from the first byte of `into`. */
export interface ReadHole {
  readonly at: number;
  readonly length: number;
}

/**
 * The answer to a read. `holes`: parts of `into` that were not filled because they read as zeroes, in order, apart from each
 * other, inside `into`. A client with structured replies gets them as holes; for others the server fills in the zeroes.
 */
export type NbdReadDone = (error: NbdErrorName | null, holes?: readonly ReadHole[]) => void;

/** One run of a BLOCK_STATUS answer; `flags` as the context defines them. */
export interface StatusRun {
  readonly length: number;
  readonly flags: number;
}

/**
 * Offsets and lengths are in range, positive, and multiples of the minimum block size when these are called; reads and writes
 * are at most `maximumBlockBytes` long, trims and zeroes are only bounded by the protocol (4 GiB - 1). Requests go on to the
 * end when their client is gone: the next one is let in only when every one of them has answered.
 */
export interface NbdExport {
  /** At most 4096 bytes. The first export of a server is also served under the empty name. */
  readonly name: string;
  /** At most 4096 bytes. */
  readonly description: string;
  /** Bytes; may grow. A client sees the size of the moment it came, a new one the new size. */
  sizeBytes(): number;
  readonly readOnly: boolean;
  /** A power of two, 1 to 65536. */
  readonly minimumBlockBytes: number;
  /** A power of two, at least 512 and the minimum. */
  readonly preferredBlockBytes: number;
  /** At least the preferred and a multiple of the minimum; at most 32 MiB. */
  readonly maximumBlockBytes: number;
  /** Names of the contexts of BLOCK_STATUS it can answer: `base:allocation`, `understudy:dirty-bitmap`. */
  readonly contexts: readonly string[];
  /** Fills all of `into`, but for the holes it tells; what it leaves unfilled besides would be old memory. */
  read(into: Buffer, offset: number, done: NbdReadDone): void;
  /** `bytes` belong to the export until it answers. `fua`: durable on every copy that counts before the answer. */
  write(bytes: Buffer, offset: number, fua: boolean, done: NbdDone): void;
  /** Covers every write that was answered before. */
  flush(done: NbdDone): void;
  trim(offset: number, length: number, fua: boolean, done: NbdDone): void;
  /** `noHole`: the space stays allocated. `fast`: answer ENOTSUP rather than write zeroes byte for byte. */
  zeroes(
    offset: number,
    length: number,
    options: { readonly fua: boolean; readonly noHole: boolean; readonly fast: boolean },
    done: NbdDone,
  ): void;
  /** Runs from `offset` on, at least one, without gaps; may stop early or go beyond the length asked for. */
  status(context: string, offset: number, length: number): Promise<readonly StatusRun[]>;
  /** A client is there (true) or gone (false): there is one at a time. */
  attached(there: boolean): void;
}
