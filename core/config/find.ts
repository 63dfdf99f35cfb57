// Where the config file is, and its text. The only impure file of this room: it reads files, and runs none of them.
// Invariant: TypeScript and JavaScript configs are never executed here, only pointed at.
import { access, readFile } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { reasonOf, UnderstudyError } from '../errors/errors.js';

export interface FoundConfig {
  /** Absolute path. */
  readonly file: string;
  readonly text: string;
}

export interface FindOptions {
  /** `--config FILE`; relative to `workingDirectory`. */
  readonly config?: string | undefined;
  /** $UNDERSTUDY_CONFIG is read from it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory?: string;
  /** Looked into when nothing lies in the working directory or above. */
  readonly systemDirectory?: string;
}

export const SYSTEM_DIRECTORY = '/etc/understudy';
const DATA_PLACES = [
  'understudy.config.yaml',
  'understudy.config.yml',
  'understudy.config.json',
  '.understudyrc',
  '.understudyrc.yaml',
  '.understudyrc.yml',
  '.understudyrc.json',
];
const CODE_PLACES = ['understudy.config.ts', 'understudy.config.js', 'understudy.config.mjs'];
const CODE = new Set(['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs']);

/** Finds and reads the config. Rejects with CONFIG_NOT_FOUND, or CONFIG_NEEDS_BUILD where only code was found. */
export const findConfig = async ({
  config,
  env = {},
  workingDirectory = process.cwd(),
  systemDirectory = SYSTEM_DIRECTORY,
}: FindOptions = {}): Promise<FoundConfig> => {
  const named = config ?? (env['UNDERSTUDY_CONFIG'] === '' ? undefined : env['UNDERSTUDY_CONFIG']);
  if (named !== undefined) return readNamed(resolve(workingDirectory, named), config === undefined ? '$UNDERSTUDY_CONFIG' : '--config');
  const directories = [...upwards(resolve(workingDirectory)), systemDirectory];
  const found = (await search(directories, DATA_PLACES)) ?? null;
  if (found !== null) return found;
  const code = await search(directories, CODE_PLACES);
  if (code !== null) throw needsBuild(code.file);
  throw new UnderstudyError(
    'CONFIG_NOT_FOUND',
    `no config file in ${resolve(workingDirectory)}, in a directory above it, or in ${systemDirectory}; looked for ${DATA_PLACES.join(', ')}`,
  );
};

const readNamed = async (file: string, by: string): Promise<FoundConfig> => {
  if (CODE.has(extname(file))) throw needsBuild(file);
  try {
    return { file, text: await readFile(file, 'utf8') };
  } catch (cause) {
    throw new UnderstudyError('CONFIG_NOT_FOUND', `the config file named by ${by} cannot be read: ${reasonOf(cause)}`, { cause, file });
  }
};

const needsBuild = (file: string): UnderstudyError =>
  new UnderstudyError(
    'CONFIG_NEEDS_BUILD',
    `${file} is code, and daemons read YAML and JSON only. Run: understudy check --print ${file} > understudy.config.yaml`,
    {
      file,
      hint: `understudy check --print ${file} > understudy.config.yaml`,
    },
  );

function* upwards(directory: string): Generator<string> {
  yield directory;
  const parent = dirname(directory);
  if (parent !== directory) yield* upwards(parent);
}

const asText = (_file: string, content: string): string => content;
const LOADERS = Object.fromEntries(['noExt', '.yaml', '.yml', '.json', ...CODE].map((extension) => [extension, asText]));

const search = async (directories: readonly string[], searchPlaces: readonly string[]): Promise<FoundConfig | null> => {
  const { cosmiconfig } = await import('cosmiconfig');
  await refuseCode();
  try {
    const explorer = cosmiconfig('understudy', {
      searchPlaces: [...searchPlaces],
      searchStrategy: 'none',
      cache: false,
      ignoreEmptySearchPlaces: false,
      loaders: LOADERS,
    });
    for (const directory of directories) {
      const result = await explorer.search(directory);
      if (result !== null) return { file: result.filepath, text: typeof result.config === 'string' ? result.config : '' };
    }
    return null;
  } catch (cause) {
    throw new UnderstudyError('CONFIG_NOT_FOUND', `the search for a config file failed: ${reasonOf(cause)}`, {
      cause,
      hint: 'Name the file with --config FILE.',
    });
  }
};

/**
 * cosmiconfig reads settings of its own from the process's working directory, and runs them when they are code
 * (`.config/config.js`). A daemon of root must not run what merely lies where it was started.
 */
const refuseCode = async (): Promise<void> => {
  for (const extension of CODE) {
    const file = join(process.cwd(), '.config', `config${extension}`);
    const exists = await access(file).then(
      () => true,
      () => false,
    );
    if (exists)
      throw new UnderstudyError('CONFIG_NOT_FOUND', `the search for a config file would run ${file}, so it was not made`, {
        hint: 'Name the file with --config FILE.',
      });
  }
};
