// The hash by which nodes compare their configs: over what the file means, not how it is written. Pure.
// Invariant: the same on every node and in every process, with or without plugins; no secret goes into it.
import { createHash } from 'node:crypto';
import type { ClusterConfig } from './cluster-config.js';
import { isSecretName } from './secret-reference.js';

/** JSON with sorted keys, so that equal meaning is equal text. Undefined members are left out; secrets are named, not shown. */
export const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(
      ([key, member]) => `${JSON.stringify(key)}:${isSecretName(key) && typeof member === 'string' ? '"(secret)"' : canonicalJson(member)}`,
    );
  return `{${members.join(',')}}`;
};

/** Of a config whose paths are still as written: where a file lies on one host says nothing of the cluster. */
export const meaningHash = ({ file: _file, keyFile: _keyFile, cfgHash: _cfgHash, ...meaning }: ClusterConfig): string =>
  createHash('sha256').update(canonicalJson(meaning)).digest('hex').slice(0, 32);
