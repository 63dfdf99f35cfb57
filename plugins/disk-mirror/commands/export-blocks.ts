// Keeps what a victim is about to lose: FILE has the bytes of its ranges one behind the other, FILE.ranges says in text where each
// was (docs/reference/mirror-export.md). Both are new files of root alone; the text comes last, with the checksum of the bytes, so
// that an export cut short has none.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { reasonOf, UnderstudyError } from 'understudy/plugin';
import type { OwnChanges, Range } from './own-changes.js';

const PIECE_BYTES = 4 * 1024 * 1024;

export const rangesFile = (file: string): string => `${file}.ranges`;

/** Rejects with COMMAND_FAILED; the files that were made stay, named in the message. Returns the bytes. */
export const exportBlocks = async (backing: string, file: string, changes: OwnChanges, ranges: AsyncIterable<Range>): Promise<number> => {
  const from = await opened(backing, 'r');
  try {
    const into = await opened(file, 'wx');
    try {
      const index = await opened(rangesFile(file), 'wx');
      try {
        return await copy({ from, into, index }, changes, ranges);
      } finally {
        await index.close();
      }
    } finally {
      await into.close();
    }
  } finally {
    await from.close();
  }
};

const opened = async (path: string, how: 'r' | 'wx'): Promise<FileHandle> => {
  try {
    return await open(path, how, 0o600);
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new UnderstudyError('COMMAND_FAILED', exists ? `${path} exists: name a new file` : `cannot open ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
};

interface Files {
  readonly from: FileHandle;
  readonly into: FileHandle;
  readonly index: FileHandle;
}

const copy = async ({ from, into, index }: Files, changes: OwnChanges, ranges: AsyncIterable<Range>): Promise<number> => {
  const sum = createHash('sha256');
  const lines: string[] = [];
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let at = 0;
  for await (const [offset, length] of ranges) {
    lines.push(`${offset} ${at} ${length}`);
    for (let done = 0; done < length; ) {
      const bytes = piece.subarray(0, Math.min(PIECE_BYTES, length - done));
      const { bytesRead } = await from.read(bytes, 0, bytes.length, offset + done);
      if (bytesRead === 0) throw new UnderstudyError('COMMAND_FAILED', `the copy ends at byte ${offset + done}`);
      const read = bytes.subarray(0, bytesRead);
      sum.update(read);
      await writeWhole(into, read);
      done += bytesRead;
    }
    at += length;
  }
  await into.sync();
  const { volume, node, volumeUuid, sizeBytes, current, parted } = changes;
  const head = [
    '# understudy mirror export 1',
    `# volume ${volume} of ${node}, uuid ${volumeUuid}, ${sizeBytes} bytes`,
    `# generation ${current}, parted at ${parted}`,
    `# sha256 ${sum.digest('hex')} of ${at} bytes`,
    '# offset in the volume, offset in the file, length: bytes, each a multiple of 4096',
  ];
  await index.writeFile(`${[...head, ...lines].join('\n')}\n`);
  await index.sync();
  return at;
};

const writeWhole = async (into: FileHandle, bytes: Uint8Array): Promise<void> => {
  for (let done = 0; done < bytes.length; ) done += (await into.write(bytes, done)).bytesWritten;
};

/** The names outlive a power cut. */
export const syncDirectoryOf = async (file: string): Promise<void> => {
  const directory = await open(dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
};
