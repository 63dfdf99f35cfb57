// What the NBD server serves, as it sees it. The server speaks the protocol, checks ranges and sizes, and knows nothing of
// mirrors; what stands behind answers each request once, in any order.

export type NbdErrorName = 'EPERM' | 'EIO' | 'ENOMEM' | 'EINVAL' | 'ENOSPC' | 'EOVERFLOW' | 'ENOTSUP' | 'ESHUTDOWN';

/** The answer to one request; null = done. */
export type NbdDone = (error: NbdErrorName | null) => void;

/** One run of a BLOCK_STATUS answer. */
export interface StatusRun {
  readonly length: number;
  readonly flags: number;
}

/** Offsets and lengths are in range and multiples of the minimum block size when these are called. */
export interface NbdExport {
  /** '' is served as the default export as well. */
  readonly name: string;
  readonly description: string;
  /** Bytes; may grow (`resized`). */
  sizeBytes(): number;
  readonly readOnly: boolean;
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes: number;
  readonly maximumBlockBytes: number;
  /** Names of the contexts of BLOCK_STATUS it can answer: `base:allocation`, `understudy:dirty-bitmap`. */
  readonly contexts: readonly string[];
  /** Fills `into`, which the server made and sends when it is answered. */
  read(into: Buffer, offset: number, done: NbdDone): void;
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
  status(context: string, offset: number, length: number): Promise<readonly StatusRun[]>;
  /** A client is there (true) or gone (false): there is one at a time. */
  attached(there: boolean): void;
}
