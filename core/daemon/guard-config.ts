// The config as the guard reads it: resources opaque, no plugin of a user loaded, the arbiter's options checked. Parsing needs
// libraries that take longer to load than a guard may be away, and that would stay in its memory; so it is done beside it, once,
// and the result is kept in the run directory. Invariant: what is kept is used only for the very bytes it came from.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import type { ClusterConfig } from '../config/cluster-config.js';
import { findConfig } from '../config/find.js';
import type { GroupId } from '../model/ids.js';
import type { ProcessPlan } from '../plugin/builtin-agents.js';
import { writeAtomicSync } from '../system/atomic-file.js';
import type { Paths } from '../system/paths.js';
import { type DaemonOptions, wordsOf } from './options.js';

export interface GuardConfig {
  readonly config: ClusterConfig;
  /** What the arbiter's schema made of `arbiter.options`. */
  readonly arbiterOptions: unknown;
  /** The groups whose data is mirrored. */
  readonly mirrored: readonly GroupId[];
  /** The long-lived processes of built-in plugins, on whichever nodes. */
  readonly processes: readonly ProcessPlan[];
}

/** Grows with the shape of GuardConfig and with what the parser makes of the same text. */
const SHAPE = 4;
const COMPILER = fileURLToPath(new URL('./compile-config-process.js', import.meta.url));
const COMPILE_LIMIT_MS = 15_000;
const PACKAGE = new URL('../../../package.json', import.meta.url);

/** The parsed form if it was kept, else made beside this process. Rejects with CONFIG_NOT_FOUND, CONFIG_NEEDS_BUILD, CONFIG_INVALID, TIMING_UNSAFE or PLUGIN_INVALID. */
export const loadGuardConfig = async (options: DaemonOptions, paths: Paths, env: NodeJS.ProcessEnv): Promise<GuardConfig> => {
  const found = await findConfig({ config: options.config, env });
  const known = kept(paths, keyOf(found));
  if (known !== null) return known;
  const words = wordsOf({ ...options, config: found.file, runDir: paths.run, stateDir: paths.state, logDir: paths.log });
  spawnSync(process.execPath, [COMPILER, ...words], { env, stdio: 'ignore', timeout: COMPILE_LIMIT_MS, killSignal: 'SIGKILL' });
  // Whatever went wrong beside us goes wrong here too, and then it has a name.
  return kept(paths, keyOf(found)) ?? compileGuardConfig(options, paths, env);
};

/** Parses in this process, and keeps the result for those that come after. Rejects as `loadGuardConfig`. */
export const compileGuardConfig = async ({ config: named }: DaemonOptions, paths: Paths, env: NodeJS.ProcessEnv): Promise<GuardConfig> => {
  const found = await findConfig({ config: named, env });
  const [{ parseConfigOrThrow }, { checkedArbiterOptions }, { builtInAgents, processPlans, mirroredGroups }] = await Promise.all([
    import('../config/parse.js'),
    import('../plugin/builtin-arbiter.js'),
    import('../plugin/builtin-agents.js'),
  ]);
  const { config } = parseConfigOrThrow(found.text, found.file);
  const agents = await builtInAgents();
  const compiled: GuardConfig = {
    config,
    arbiterOptions: await checkedArbiterOptions(config),
    mirrored: mirroredGroups(config, agents),
    processes: processPlans(config, agents),
  };
  const body = JSON.stringify(compiled);
  // Options that JSON cannot hold are checked anew at each start.
  if (isDeepStrictEqual(JSON.parse(JSON.stringify(compiled.arbiterOptions)), compiled.arbiterOptions))
    writeAtomicSync(fileIn(paths), `${keyOf(found)} ${sha256(body)}\n${body}`, { fsync: false });
  return compiled;
};

const fileIn = (paths: Paths): string => join(paths.run, 'guard-config');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const keyOf = ({ file, text }: { readonly file: string; readonly text: string }): string => {
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { readonly version: string };
  return sha256(`${SHAPE}\n${version}\n${file}\n${text}`);
};

/** null when nothing is kept for this key, or what is kept is not ours alone or not whole. */
const kept = (paths: Paths, key: string): GuardConfig | null => {
  const text = readOwn(fileIn(paths));
  const end = text?.indexOf('\n') ?? -1;
  if (text === null || end < 0) return null;
  const body = text.slice(end + 1);
  return text.slice(0, end) === `${key} ${sha256(body)}` ? (JSON.parse(body) as GuardConfig) : null;
};

/** A file that only its owner can read and write, the owner being who we are; else null. */
const readOwn = (path: string): string | null => {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const { uid, mode } = fstatSync(file);
    const own = process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o077) === 0);
    return own ? readFileSync(file, 'utf8') : null;
  } finally {
    closeSync(file);
  }
};
