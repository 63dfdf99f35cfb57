// The only door to files for the rooms that a simulation runs: the guard and the controller's scheduler. As narrow as their
// needs: whole files that are replaced, small files of one size that are kept open, and whether a name exists.
// Implementation: files-system.ts; a disk in memory stands behind it in core/simulation.

export interface WriteOptions {
  /** Bytes and directory entry are on disk before it ends. Costs 4–60 ms: never on the way to a takeover. */
  readonly fsync: boolean;
  /** Default 0600. */
  readonly mode?: number;
}

/** A file of one size that is kept open and always written whole. */
export interface FixedWriter {
  /** Replaces the contents with one write. Throws the system's error, also for a part that was written. */
  write(bytes: Uint8Array): void;
  close(): void;
}

/** The other end of one, in another process. */
export interface FixedReader {
  /** Looks whether the name stands for another file than the one that is open, and opens that. True when it does. */
  refresh(): boolean;
  /** Reads from the beginning; how many bytes there were, or null when there was no file at the last `refresh`. */
  read(into: Uint8Array): number | null;
  close(): void;
}

/** Every call throws or rejects with the system's error. */
export interface Files {
  /** null when there is no such file. */
  read(path: string): Buffer | null;
  exists(path: string): boolean;
  /** Another text after every change of the file, null when there is none. Only for being compared. */
  stamp(path: string): string | null;
  /** Makes the directory and those above it, mode 0700; nothing happens when it is there. */
  makeDirectory(path: string): void;
  /** Nothing happens when it is not there. */
  remove(path: string): void;
  /** Replaces the whole contents, old or new and never a part; makes the directory (0700) when it is missing. */
  replace(path: string, text: string, options: WriteOptions): Promise<void>;
  replaceSync(path: string, text: string, options: WriteOptions): void;
  /** Opens it to write, mode 0600; makes its directory. One of this size is taken over in place, else it begins blank. */
  openFixed(path: string, size: number): FixedWriter;
  followFixed(path: string): FixedReader;
}
export const Files: unique symbol = Symbol('Files');

/** What a file held. `broken` is not `absent`: what to do about lost state is the caller's decision. */
export type JsonFile =
  | { readonly kind: 'read'; readonly value: unknown }
  | { readonly kind: 'absent' }
  | { readonly kind: 'broken'; readonly because: string };

/** Reads and parses; never throws. */
export const readJson = (files: Pick<Files, 'read'>, path: string): JsonFile => {
  try {
    const bytes = files.read(path);
    return bytes === null ? { kind: 'absent' } : { kind: 'read', value: JSON.parse(bytes.toString()) as unknown };
  } catch (error) {
    return { kind: 'broken', because: `${path}: ${error instanceof Error ? error.message : String(error)}` };
  }
};
