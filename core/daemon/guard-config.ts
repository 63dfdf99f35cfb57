// The config as the guard reads it: resources opaque, no plugin loaded. Parsing needs libraries that take longer to load
// than a guard may be away, so the parsed form is kept in the run directory, bound to the very bytes it came from.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ClusterConfig } from '../config/cluster-config.js';
import { findConfig } from '../config/find.js';
import { readJson, writeAtomicSync } from '../system/atomic-file.js';
import type { Paths } from '../system/paths.js';
import type { DaemonOptions } from './options.js';

/** Grows with the shape of ClusterConfig: another version's parsed form is not used. */
const SHAPE = 1;

/** Rejects with CONFIG_NOT_FOUND, CONFIG_NEEDS_BUILD, CONFIG_INVALID or TIMING_UNSAFE. */
export const loadGuardConfig = async ({ config }: DaemonOptions, paths: Paths, env: NodeJS.ProcessEnv): Promise<ClusterConfig> => {
  const { file, text } = await findConfig({ config, env });
  const of = createHash('sha256').update(`${SHAPE}\n${file}\n${text}`).digest('hex');
  const kept = join(paths.run, 'guard-config.json');
  const found = readJson(kept);
  const value = found.kind === 'read' ? (found.value as { of?: string; config?: ClusterConfig }) : {};
  if (value.of === of && value.config !== undefined) return value.config;
  const { parseConfigOrThrow } = await import('../config/parse.js');
  const parsed = parseConfigOrThrow(text, file).config;
  writeAtomicSync(kept, JSON.stringify({ of, config: parsed }), { fsync: false });
  return parsed;
};
