// The one file of the witness: a log, filled with zeros in advance and written in place, so that one CAS costs one flush
// of data and no change of metadata (0.14 ms here, against 0.48 ms for new file + fsync + rename + fsync of the directory).
// Invariant: what `append` resolved for is read back by `openStateFile`, or it refuses; a torn last record is one that was
// never acknowledged, and the only damage that is mended.
import { constants, fstatSync, type Stats } from 'node:fs';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { UnderstudyError, type Versioned, reasonOf } from 'understudy/plugin';

export interface WitnessState {
  /** Made once, when the file is: another file is another witness. */
  readonly stateId: string;
  /** Grows with every write, over restarts too. */
  readonly generation: number;
  readonly values: ReadonlyMap<string, Versioned>;
}

export interface StateFile {
  readonly state: WitnessState;
  /** Whether the file is still this process's: another one that opened it has put its own in its place. Look before each answer. */
  readonly owned: boolean;
  /** Durable when it resolves. One at a time. A rejection leaves the outcome unknown: the witness must end. */
  append(values: readonly Versioned[], generation: number): Promise<void>;
  close(): Promise<void>;
}

const MAGIC = Buffer.from('USW1');
const HEAD_BYTES = 16; // magic, length, crc32 of the payload, crc32 of the head before it
const FILE_BYTES = 4 * 1024 * 1024;
/** A witness keeps leases and orders, a few hundred bytes a group; more than this is not its work. */
const MAX_STATE_BYTES = FILE_BYTES / 2;

/** The first record is a snapshot, the others what changed. */
interface Entry {
  readonly stateId?: string;
  readonly generation: number;
  readonly values: readonly Versioned[];
}

const recordOf = (entry: Entry): Buffer => {
  const payload = Buffer.from(JSON.stringify(entry));
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32BE(payload.length, 4);
  head.writeUInt32BE(crc32(payload), 8);
  head.writeUInt32BE(crc32(head.subarray(0, 12)), 12);
  return Buffer.concat([head, payload]);
};

const readRecord = (bytes: Buffer, at: number): { readonly entry: Entry; readonly end: number } | null => {
  if (at + HEAD_BYTES > bytes.length || !bytes.subarray(at, at + 4).equals(MAGIC)) return null;
  if (crc32(bytes.subarray(at, at + 12)) !== bytes.readUInt32BE(at + 12)) return null;
  const end = at + HEAD_BYTES + bytes.readUInt32BE(at + 4);
  if (end > bytes.length) return null;
  const payload = bytes.subarray(at + HEAD_BYTES, end);
  if (crc32(payload) !== bytes.readUInt32BE(at + 8)) return null;
  return { entry: JSON.parse(payload.toString('utf8')) as Entry, end };
};

const corrupt = (file: string, why: string): UnderstudyError =>
  new UnderstudyError('REFUSED', `cannot start the witness on ${file}: ${why}`, {
    hint: 'Do not go on with this file. Stop all groups, or make sure which node is active, then make a new one as plugins/witness/README.md says.',
  });

const readState = (file: string, bytes: Buffer): WitnessState => {
  const first = readRecord(bytes, 0);
  if (first?.entry.stateId === undefined) throw corrupt(file, 'it is damaged at its beginning, or not a state file of a witness');
  const values = new Map(first.entry.values.map((value) => [value.key, value]));
  let { generation } = first.entry;
  let { end } = first;
  for (let next = readRecord(bytes, end); next !== null; next = readRecord(bytes, end)) {
    if (next.entry.generation <= generation) throw corrupt(file, `generation ${next.entry.generation} stands behind ${generation}`);
    for (const value of next.entry.values) values.set(value.key, value);
    ({ generation } = next.entry);
    ({ end } = next);
  }
  // What follows the last good record was never acknowledged, unless a good one stands behind it: then this one was.
  for (let at = bytes.indexOf(MAGIC, end); at !== -1; at = bytes.indexOf(MAGIC, at + 1)) {
    if (readRecord(bytes, at) !== null) throw corrupt(file, `the record at byte ${end} is damaged, and a good one follows at ${at}`);
  }
  return { stateId: first.entry.stateId, generation, values };
};

const syncDirectory = async (directory: string): Promise<void> => {
  if (process.platform === 'win32') return; // Windows cannot open a directory to flush it; NTFS journals the rename.
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

const writeAll = async (handle: FileHandle, bytes: Buffer, at: number): Promise<void> => {
  for (let written = 0; written < bytes.length; )
    written += (await handle.write(bytes, written, bytes.length - written, at + written)).bytesWritten;
};

const draftOf = (file: string): string => `${file}.new`;

// An empty log beside the real one, all its blocks on the disk.
const prepare = async (file: string): Promise<FileHandle> => {
  const handle = await open(draftOf(file), constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC, 0o600);
  try {
    await writeAll(handle, Buffer.alloc(FILE_BYTES), 0);
    await handle.sync();
    return handle;
  } catch (error) {
    await handle.close();
    await unlink(draftOf(file)); // On a full disk it would keep others from mending it.
    throw error;
  }
};

// Begins the prepared log with a snapshot and puts it in the place of the old one. Returns where the log ends.
const install = async (file: string, prepared: FileHandle, { stateId, generation, values }: WitnessState): Promise<number> => {
  const snapshot = recordOf({ stateId, generation, values: [...values.values()] });
  if (snapshot.length > MAX_STATE_BYTES)
    throw new UnderstudyError('REFUSED', `the witness would hold ${snapshot.length} bytes; its limit is ${MAX_STATE_BYTES}`);
  await writeAll(prepared, snapshot, 0);
  await prepared.sync();
  await rename(draftOf(file), file);
  await syncDirectory(dirname(file));
  return snapshot.length;
};

const isNamed = (handle: FileHandle): boolean => fstatSync(handle.fd).nlink > 0;

const statIfThere = async (file: string): Promise<Stats | null> => {
  try {
    return await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
};

/** Makes a new, empty state with this id. Refuses when the file exists: two lives of one witness must not be confused. */
export const createStateFile = async (file: string, stateId: string): Promise<void> => {
  const reserve = await open(file, 'wx', 0o600).catch((error: unknown) => {
    throw new UnderstudyError('REFUSED', `cannot create the witness's state ${file}: ${reasonOf(error)}`, {
      cause: error,
      hint: 'To go on with an existing state, start the witness without --create.',
    });
  });
  await reserve.close();
  try {
    const handle = await prepare(file);
    await install(file, handle, { stateId, generation: 0, values: new Map() });
    await handle.close();
  } catch (error) {
    await unlink(file);
    throw error;
  }
};

// What another process acknowledged meanwhile is kept, whoever serves it next.
const takeBack = async (file: string, state: WitnessState): Promise<FileHandle> => {
  const handle = await prepare(file);
  await install(file, handle, state);
  return handle;
};

/** Opens an existing state. Throws REFUSED when it is missing or damaged: a witness that forgot grants epochs twice. */
export const openStateFile = async (file: string): Promise<StateFile> => {
  const there = await statIfThere(file);
  if (there === null)
    throw new UnderstudyError('REFUSED', `cannot start the witness: there is no state ${file}`, {
      hint: 'Only for a cluster that never had a witness: understudy witness --create --state FILE. A lost state is restored as plugins/witness/README.md says.',
    });
  // A new log takes the place of one name only: under the other two witnesses would each go on by themselves.
  if (there.nlink > 1) throw corrupt(file, `the same file has ${there.nlink} names (hard links)`);
  const found = await open(file, 'r');
  let state: WitnessState;
  let handle: FileHandle;
  let end: number;
  try {
    state = readState(file, await found.readFile());
    // A fresh log at each start: what a torn record left behind is gone before anything is written after it.
    handle = await prepare(file);
    end = await install(file, handle, state);
    // Whoever served the old file acknowledges nothing from here on (`owned`); what it did before is in there.
    const bytes = Buffer.alloc((await found.stat()).size);
    await found.read(bytes, 0, bytes.length, 0);
    const last = readState(file, bytes);
    if (last.generation !== state.generation) {
      await handle.close();
      await (await takeBack(file, last)).close();
      throw new UnderstudyError('REFUSED', `another witness was writing to ${file} while this one started`, {
        hint: 'One state has one witness. Stop both, then start one.',
      });
    }
  } finally {
    await found.close();
  }
  let spare: Promise<FileHandle> | null = null;
  /** The next log, while it takes this one's place. */
  let successor: FileHandle | null = null;

  return {
    get state() {
      return state;
    },
    get owned() {
      return isNamed(handle) || (successor !== null && isNamed(successor));
    },
    async append(changed, generation) {
      const values = new Map(state.values);
      for (const value of changed) values.set(value.key, value);
      const next: WitnessState = { stateId: state.stateId, generation, values };
      const record = recordOf({ generation, values: changed });
      if (end + record.length > FILE_BYTES) {
        const prepared = await (spare?.catch(() => prepare(file)) ?? prepare(file)); // The disk may have been full only then.
        spare = null;
        if (!isNamed(handle)) throw new Error('another witness has taken this state');
        successor = prepared;
        end = await install(file, prepared, next);
        const old = handle;
        handle = prepared;
        successor = null;
        await old.close();
      } else {
        await writeAll(handle, record, end);
        await handle.datasync();
        end += record.length;
      }
      if (!isNamed(handle)) throw new Error('another witness has taken this state');
      state = next;
      // The next log is made ready long before it is needed, so that no compare-and-set waits for 4 MiB.
      if (spare === null && end > FILE_BYTES / 2) {
        spare = prepare(file);
        spare.catch(() => {}); // Tried again by the append that needs it.
      }
    },
    async close() {
      const [prepared] = await Promise.allSettled([spare]);
      if (prepared.status === 'fulfilled') await prepared.value?.close();
      await handle.close();
    },
  };
};
