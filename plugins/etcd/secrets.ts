// Files that the config names: certificates, and what must be kept from others. Read when the arbiter is opened, never written.
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { UnderstudyError, reasonOf } from 'understudy/arbiter';

/** A file that anybody may read. Throws KEY_UNUSABLE. */
export const readCertificate = (file: string): Buffer => read(file, 'the certificate', () => null);

/** A private key. Throws KEY_UNUSABLE when others may read it, as ssh does. */
export const readPrivateKey = (file: string): Buffer => read(file, 'the private key', privateOnly);

/** A password in a file of its own, given as `file:PATH`; its last line end does not count. Throws KEY_UNUSABLE. */
export const readPassword = (reference: string): string => {
  const file = reference.slice('file:'.length);
  const password = read(file, 'the password', privateOnly)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (password === '') throw unusable('the password', file, 'it is empty');
  return password;
};

const unusable = (what: string, file: string, why: string, cause?: unknown): UnderstudyError =>
  new UnderstudyError('KEY_UNUSABLE', `arbiter etcd: cannot use ${what} ${file}: ${why}`, { cause });

const privateOnly = ({ mode, uid }: { readonly mode: number; readonly uid: number }): string | null => {
  if (process.platform === 'win32') return null; // Rights are not in the mode there.
  if ((mode & 0o077) !== 0) return `its mode ${(mode & 0o777).toString(8)} lets others read it: chmod 0400 it`;
  return uid === 0 || uid === process.getuid?.() ? null : `it belongs to user ${uid}: chown it to root or to the user who runs understudy`;
};

const read = (file: string, what: string, objection: (stat: { mode: number; uid: number }) => string | null): Buffer => {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    throw unusable(what, file, reasonOf(error), error);
  }
  try {
    const stat = fstatSync(fd);
    const why = stat.isFile() ? objection(stat) : 'it is not a file';
    if (why !== null) throw unusable(what, file, why);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
};
