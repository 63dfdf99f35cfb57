// Looks in this process whether everything on a group's hard-stop list is gone: files of the kernel and the list of addresses,
// read anew each time, a millisecond instead of a shell's thirty. It changes nothing and knows only "yes, all of it": whatever
// it cannot see for certain is a no, and then emergency-stop.sh looks (core/guard/hard-stop).
import { readFileSync } from 'node:fs';
import { sameAddress } from '../system/addresses.js';
import { readHostAddresses } from '../system/host-addresses.js';
import { readStat } from '../system/process.js';

export interface Eyes {
  /** null when there is no such file. Throws when it cannot be read. */
  readonly read: (path: string) => string | null;
  /** A living process, not a zombie. */
  readonly alive: (pid: number) => boolean;
  /** null when that cannot be said. */
  readonly hasAddress: (address: string) => boolean | null;
}

const MOUNTS = '/proc/self/mounts';

/** True only when every line was seen to be gone by the same signs that emergency-stop.sh goes by. */
export const looksGone = (list: string, eyes: Eyes = hostEyes): boolean => {
  try {
    return list.split('\n').every((line) => line === '' || line.startsWith('#') || lineGone(line, eyes));
  } catch {
    // What cannot be read was not seen to be gone; the script says in words what is the matter.
    return false;
  }
};

const lineGone = (line: string, eyes: Eyes): boolean => {
  const [word = '', ...operands] = line.split(' ');
  if (operands.length === 0 || operands.includes('') || /[\t\r\\]/.test(line)) return false;
  switch (word) {
    case 'addr':
      return operands.length === 2 && eyes.hasAddress(operands[1]!.split('/')[0]!) === false;
    case 'table':
      return (
        operands.length === 2 && !(eyes.read(operands[0]!) ?? '').split('\n').some((entry) => entry.trim().split(/\s+/)[1] === operands[1])
      );
    case 'cgroup':
      return operands.length === 1 && cgroupGone(operands[0]!, eyes);
    case 'pidfile':
      return operands.length === 1 && pidfileGone(operands[0]!, eyes);
    case 'mount':
      return (
        operands.length === 1 &&
        eyes
          .read(MOUNTS)
          ?.split('\n')
          .some((entry) => entry.split(' ').includes(operands[0]!)) === false
      );
    case 'freeze':
      return operands.length === 1 && servesNobody(operands[0]!, eyes);
    case 'nbd':
      return (
        operands.length === 1 && /^\/dev\/[a-z0-9]+$/.test(operands[0]!) && eyes.read(`/sys/block/${operands[0]!.slice(5)}/pid`) === null
      );
    default:
      return false;
  }
};

/** The process says so itself, in the same words as it says who it is. One that ended is the script's to tell. */
const servesNobody = (socket: string, { read, alive }: Eyes): boolean => {
  const who = read(`${socket}.pid`);
  const pid = /^([1-9]\d{0,9}) \d+\n$/.exec(who ?? '')?.[1];
  return pid !== undefined && alive(Number(pid)) && read(`${socket}.idle`) === who;
};

const cgroupGone = (path: string, { read }: Eyes): boolean => {
  if (!path.startsWith('/') || path.split('/').includes('..')) return false;
  const events = read(`${path}/cgroup.events`);
  return events === null || events.split('\n').includes('populated 0');
};

/** A pid that lives may be another's by now, or the leader of a session: that is the script's to tell. */
const pidfileGone = (path: string, { read, alive }: Eyes): boolean => {
  const text = read(path);
  if (text === null) return true;
  const pid = text.split('\n', 1)[0]!.trim().split(/\s+/)[0]!;
  return pid === '' || (/^[1-9]\d{0,9}$/.test(pid) && Number(pid) > 1 && !alive(Number(pid)));
};

const hostEyes: Eyes = {
  read: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  },
  alive: (pid) => {
    const stat = readStat(pid);
    return stat !== null && !stat.dead;
  },
  hasAddress: (address) => {
    const { entries, whole } = readHostAddresses();
    if (entries.some((entry) => sameAddress(entry.address, address))) return true;
    return whole ? false : null;
  },
};
