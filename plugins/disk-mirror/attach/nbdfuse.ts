// `attach: nbdfuse`: libnbd's nbdfuse shows the volume as a file, and a loop device makes a block device of it: for hosts whose
// kernel has no nbd module. Limits first: a restart of the mirror process ends nbdfuse's connection, so it is seen as an I/O
// error by the application (the kernel's own client can wait); every request crosses FUSE and loop, which costs some 50 µs.
// Invariant: the loop device is found by the file it backs, the file by its mount, the process by its cgroup and pidfile.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { reasonOf, type RunResult, UnderstudyError } from 'understudy/plugin';
import type { AttachPlace, AttachTools, Attachment } from './attachment.js';
import { leadNowhere, leadTo, readDeviceLink } from './device-link.js';

const LOOK_MS = 5_000;
const AGAIN_MS = 25;

const fileOf = ({ runDir }: AttachPlace): string => join(runDir, 'nbdfuse', 'disk');
const uriOf = ({ socket, exportName }: AttachPlace): string =>
  `nbd+unix:///${encodeURIComponent(exportName)}?socket=${encodeURIComponent(socket)}`;

export const nbdfuse = ({ exec, clock }: AttachTools): Attachment => {
  const run = (file: string, args: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<RunResult> =>
    exec.run(file, args, { timeoutMs, signal });

  /** Loop devices whose backing is this file, also when the file's mount has gone since. */
  const loopsOf = async (place: AttachPlace, signal: AbortSignal): Promise<readonly string[]> => {
    const result = await run('losetup', ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE'], LOOK_MS, signal);
    if (result.exitCode !== 0) throw failed('losetup --list', result);
    return result.stdout
      .split('\n')
      .filter((line) => line.slice(line.indexOf(' ') + 1).replace(/ \(deleted\)$/, '') === fileOf(place))
      .map((line) => line.slice(0, line.indexOf(' ')));
  };

  const until = async (what: string, limitMs: number, signal: AbortSignal, true_: () => boolean | Promise<boolean>): Promise<void> => {
    for (const endMs = clock.nowMs() + limitMs; !(await true_()); await clock.sleep(AGAIN_MS, signal))
      if (clock.nowMs() >= endMs) throw new UnderstudyError('TIMED_OUT', `${what} after ${limitMs} ms`);
  };

  const show = async (place: AttachPlace, limitMs: number, signal: AbortSignal): Promise<void> => {
    const file = fileOf(place);
    if (isMounted(dirname(file))) return;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const { cgroup, logFile, environment } = place;
    mkdirSync(dirname(logFile), { recursive: true, mode: 0o750 });
    const child = await exec.start('nbdfuse', [file, uriOf(place)], {
      ...(cgroup === null ? {} : { cgroup }),
      logFile,
      addEnv: environment,
    });
    let gone: string | null = null;
    void child.exited.then(({ exitCode, signal: by }) => (gone = `nbdfuse ended with ${exitCode ?? by}`));
    await until(`nbdfuse does not show ${file}`, limitMs, signal, () => {
      if (gone !== null) throw new UnderstudyError('AGENT_FAILED', `${gone}: see ${logFile}`);
      return isMounted(dirname(file)) && sizeOf(file) > 0;
    });
  };

  const attach: Attachment['attach'] = async (place, limitMs, signal) => {
    const endMs = clock.nowMs() + limitMs;
    try {
      await show(place, limitMs, signal);
      const [there] = await loopsOf(place, signal);
      const device = there ?? (await makeLoop(fileOf(place), endMs - clock.nowMs(), signal));
      leadTo(place.link, device);
      return device;
    } catch (error) {
      await detach(place, LOOK_MS, AbortSignal.timeout(LOOK_MS)).catch((left: unknown) => {
        throw new UnderstudyError('AGENT_FAILED', `${reasonOf(error)}; and what was begun could not be undone: ${reasonOf(left)}`, {
          cause: error,
        });
      });
      throw error;
    }
  };

  const makeLoop = async (file: string, timeoutMs: number, signal: AbortSignal): Promise<string> => {
    const made = await run('losetup', ['--find', '--show', '--direct-io=on', '--sector-size=512', file], timeoutMs, signal);
    if (made.exitCode !== 0) throw failed(`losetup for ${file}`, made);
    return made.stdout.trim();
  };

  const detach: Attachment['detach'] = async (place, limitMs, signal) => {
    leadNowhere(place.link);
    const directory = dirname(fileOf(place));
    const endMs = clock.nowMs() + limitMs;
    for (const device of await loopsOf(place, signal)) {
      const result = await run('losetup', ['--detach', device], limitMs, signal);
      if (result.exitCode !== 0) throw failed(`losetup --detach ${device}`, result);
    }
    // A device that somebody still has open is detached by the kernel later: then it is still there.
    await until(
      `${fileOf(place)} is still a loop device: somebody has it open`,
      Math.max(1, endMs - clock.nowMs()),
      signal,
      async () => (await loopsOf(place, signal)).length === 0,
    );
    if (isMounted(directory)) {
      const result = await run('fusermount3', ['-u', directory], limitMs, signal);
      if (result.exitCode !== 0 && isMounted(directory)) throw failed(`fusermount3 -u ${directory}`, result);
    }
    rmSync(directory, { recursive: true, force: true });
  };

  return {
    attach,
    detach,
    look: async (place, signal) => {
      const leads = readDeviceLink(place.link);
      const [loop] = await loopsOf(place, signal);
      const shown = isMounted(dirname(fileOf(place)));
      if (leads === null && loop === undefined && !shown) return { state: 'detached' };
      if (loop === undefined) return { state: 'broken', because: `no loop device stands on ${fileOf(place)}` };
      if (leads !== loop) return { state: 'broken', because: `${place.link} leads to ${leads ?? 'nothing'} instead of ${loop}` };
      if (!shown || !answers(fileOf(place))) return { state: 'broken', because: 'nbdfuse has gone, the device answers with errors' };
      return { state: 'attached', device: loop };
    },
  };
};

/** By the kernel's list: a dead FUSE mount is one too. */
const isMounted = (directory: string): boolean =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[1] === directory.replaceAll(' ', '\\040'));

/** ENOTCONN when nbdfuse has gone and its mount is left. */
const answers = (file: string): boolean => {
  try {
    return existsSync(file) && statSync(file).size > 0;
  } catch {
    return false;
  }
};

const sizeOf = (file: string): number => (answers(file) ? statSync(file).size : 0);

const failed = (what: string, { exitCode, signal, stderr }: RunResult): UnderstudyError =>
  new UnderstudyError('AGENT_FAILED', `${what} ended with ${exitCode ?? signal}: ${stderr.trim() || 'no words'}`);
