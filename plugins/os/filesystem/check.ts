// The check before a mount: what is run by the policy, and what its exit status means. A filesystem with errors left is not mounted.
import { type ActionContext, UnderstudyError } from 'understudy/plugin';
import type { FilesystemOptions } from './definition.js';
import type { Wanted } from './mounts.js';

/** Bits of fsck's exit status. Source: fsck(8), util-linux 2.40. */
const [CORRECTED, REBOOT] = [1, 2];
const KEPT_LINES = 10;

/** The command, or null where nothing is checked. */
export const fsckCommand = ({ fsck, type }: FilesystemOptions, device: string): readonly string[] | null =>
  fsck === 'never' || !device.startsWith('/')
    ? null
    : ['fsck', '-T', ...(type === undefined ? [] : ['-t', type]), device, '-p', ...(fsck === 'force' ? ['-f'] : [])];

/** What was found, for the timeline. Throws when errors are left, with what the check said. */
export const checkBefore = async (
  { options, run }: ActionContext<FilesystemOptions>,
  { path, number }: Wanted,
): Promise<Readonly<Record<string, unknown>>> => {
  const command = path === null || number === null ? null : fsckCommand(options, path);
  if (command === null) return {};
  const [file = '', ...args] = command;
  const { exitCode, stdout, stderr, elapsedMs } = await run(file, args, { okExit: Array.from({ length: 256 }, (_, code) => code) });
  const said = `${stdout}\n${stderr}`
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-KEPT_LINES);
  if (exitCode === null || (exitCode & ~(CORRECTED | REBOOT)) !== 0)
    throw new UnderstudyError(
      'AGENT_FAILED',
      `${options.device} is not mounted: ${command.join(' ')} ended with ${exitCode ?? 'a signal'}: ${said.join(' | ')}`,
      { hint: `Look at it by hand, the group being offline: fsck ${options.device}` },
    );
  return { checkedMs: Math.round(elapsedMs), ...(exitCode === 0 ? {} : { corrected: said }) };
};
