// The link under which applications find an attached device. Replaced by rename, so that nobody ever finds half of one.
import { lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { UnderstudyError } from 'understudy/plugin';

/** Where it leads; null when there is none. Throws REFUSED when something else stands in its place. */
export const readDeviceLink = (link: string): string | null => {
  const there = lstatSync(link, { throwIfNoEntry: false });
  if (there === undefined) return null;
  if (!there.isSymbolicLink())
    throw new UnderstudyError('REFUSED', `${link} is not a link: it was not made by understudy`, {
      hint: 'Look at what it is, then remove it.',
    });
  return readlinkSync(link);
};

export const leadTo = (link: string, device: string): void => {
  readDeviceLink(link);
  mkdirSync(dirname(link), { recursive: true, mode: 0o755 });
  const next = `${link}.next`;
  rmSync(next, { force: true });
  symlinkSync(device, next);
  renameSync(next, link);
};

export const leadNowhere = (link: string): void => {
  if (readDeviceLink(link) !== null) rmSync(link, { force: true });
};
