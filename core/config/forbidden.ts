// What no config may hold, wherever it stands: static credentials, secrets themselves, and structures without end. Pure.
import type { Findings } from './findings.js';
import type { ConfigPath } from './problem.js';
import { isSecretName } from './secret-reference.js';

const MAX_DEPTH = 32;

/** Also true of a structure that contains itself. */
export const tooDeep = (value: unknown, depth = 0): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  if (depth >= MAX_DEPTH) return true;
  return Object.values(value).some((member) => tooDeep(member, depth + 1));
};

/** A table with such a member cannot be turned into a text or a number, and schemas that compare a `length` then throw instead of refusing. */
const TRAPS: readonly string[] = ['toString', 'valueOf'];

export const findTraps = (value: unknown, findings: Findings, path: ConfigPath = []): void => {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    if (TRAPS.includes(key)) findings.problem(at, `"${key}" is not known here`, { at: 'key' });
    findTraps(member, findings, at);
  }
};

/** Names by which cloud SDKs know long-lived credentials, with or without a vendor's prefix and separators. */
const STATIC_KEY = /(accesskeyid|secretaccesskey|sessiontoken|secretkey|accountkey|clientsecret)$/;

const isInPlace = (value: unknown): boolean =>
  typeof value === 'number' || (typeof value === 'string' && value !== '' && !value.startsWith('file:'));

/** A file that lies on every node and in every backup must not hold what opens the cloud account. */
export const findStaticKeys = (root: unknown, findings: Findings): void => {
  const walk = (value: unknown, path: ConfigPath): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, member] of Object.entries(value)) {
      const at = [...path, Array.isArray(value) ? Number(key) : key];
      if (STATIC_KEY.test(key.replaceAll(/[^A-Za-z]/g, '').toLowerCase())) {
        findings.problem(at, 'static credentials do not belong in this file: it lies on every node and in every backup', {
          at: 'key',
          instead: true,
          hint: 'give the instance a role, or the process its credentials from outside; then remove this line',
        });
      } else if (isSecretName(key) && isInPlace(member)) {
        findings.problem(at, 'a secret does not belong in this file: it lies on every node and in every backup', {
          at: 'key',
          instead: true,
          hint: 'write file:/PATH of a file that only its owner can read, and change the secret, which others may have seen here',
        });
      } else walk(member, at);
    }
  };
  walk(root, []);
};
