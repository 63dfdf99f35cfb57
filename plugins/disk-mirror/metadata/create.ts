// Makes a new copy's metadata, and its data file where there is none: looks at both places, plans (create-plan.ts), and carries the
// plan out. Nothing is touched before the whole plan stands; the metadata comes last, so that a creation cut short attaches nowhere.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Exec, UnderstudyError, reasonOf } from 'understudy/plugin';
import { type CreatePlan, type CreateRequest, type CreateStep, type Place, planCreate } from './create-plan.js';
import { openFileDevice } from './file-device.js';
import { sizeOfOpened } from './opened-size.js';
import { contentOf, PROBE_BYTES } from './signatures.js';
import { writeNewMetadata } from './write-new.js';

/** Reserving space is quick where the file system can; where it writes zeroes this bounds it. */
const ALLOCATE_MS = 600_000;
const SCAN_BYTES = 4 * 1024 * 1024;

export interface CreatePaths {
  readonly data: string;
  readonly metadata: string;
}

/** What creating would do; touches nothing. */
export const examineCreate = async (request: CreateRequest, paths: CreatePaths): Promise<CreatePlan> => {
  const data = await placeAt(paths.data, { everyByte: request.initial === 'both-zero' });
  const metadata = await placeAt(paths.metadata, {});
  return planCreate(request, data, metadata);
};

/** Carries it out; throws METADATA with everything that stands in its way. Returns one sentence about the copy. */
export const createCopy = async (request: CreateRequest, paths: CreatePaths, exec: Exec): Promise<string> => {
  const plan = await examineCreate(request, paths);
  if (!plan.ok)
    throw new UnderstudyError('METADATA', `cannot make this copy:\n${plan.problems.map((problem) => `- ${problem}`).join('\n')}`, {
      hint: 'Nothing was changed. Put right what is named above, or say what may be overwritten.',
    });
  for (const step of plan.steps) await carryOut(step, exec);
  return plan.summary;
};

const carryOut = async (step: CreateStep, exec: Exec): Promise<void> => {
  if (step.do === 'allocate') return allocate(step.path, step.sizeBytes, exec);
  const device = await openFileDevice(step.path);
  try {
    await writeNewMetadata(device, step.layout, step.state);
  } finally {
    await device.close();
  }
};

// All the space at once, so that no later write can meet a full disk. Whatever was in the file stays.
export const allocate = async (path: string, sizeBytes: number, exec: Exec): Promise<void> => {
  const created = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600).catch((error: unknown) => {
    throw new UnderstudyError('METADATA', `cannot make ${path}: ${reasonOf(error)}`, { cause: error });
  });
  await created.close();
  const { exitCode, stderr } = await exec.run('fallocate', ['--length', String(sizeBytes), path], { timeoutMs: ALLOCATE_MS });
  if (exitCode !== 0)
    throw new UnderstudyError(
      'METADATA',
      `cannot allocate ${sizeBytes} bytes for ${path}: ${stderr.trim() || `fallocate ended with ${exitCode}`}`,
      {
        hint: 'Make room on that file system, or name another place. The file that was made may be removed.',
      },
    );
  // The name must outlive a power cut as the bytes do.
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
};

const placeAt = async (path: string, { everyByte = false }: { readonly everyByte?: boolean }): Promise<Place> => {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new UnderstudyError('METADATA', `cannot look at ${path}: ${reasonOf(error)}`, { cause: error });
  });
  if (handle === null) return { path, kind: 'missing', sizeBytes: 0, allocatedBytes: 0, content: [], allZero: true };
  try {
    const sizeBytes = await sizeOfOpened(handle, path);
    const stats = await handle.stat();
    const probe = Math.min(PROBE_BYTES, sizeBytes);
    const head = await bytesAt(handle, 0, probe);
    const content = contentOf(head, await bytesAt(handle, sizeBytes - probe, probe));
    return {
      path,
      kind: stats.isFile() ? 'file' : 'block-device',
      sizeBytes,
      allocatedBytes: stats.isFile() ? stats.blocks * 512 : sizeBytes,
      content,
      allZero: everyByte ? content.length === 0 && (await isAllZero(handle, sizeBytes)) : null,
    };
  } finally {
    await handle.close();
  }
};

const bytesAt = async (handle: FileHandle, offset: number, length: number): Promise<Buffer> => {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
    if (bytesRead === 0) throw new UnderstudyError('METADATA', `the device ended at byte ${offset + at} while it was read`);
    at += bytesRead;
  }
  return bytes;
};

const isAllZero = async (handle: FileHandle, sizeBytes: number): Promise<boolean> => {
  const zero = Buffer.alloc(SCAN_BYTES);
  for (let at = 0; at < sizeBytes; at += SCAN_BYTES) {
    const length = Math.min(SCAN_BYTES, sizeBytes - at);
    if (!(await bytesAt(handle, at, length)).equals(zero.subarray(0, length))) return false;
  }
  return true;
};
