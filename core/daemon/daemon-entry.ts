// Which daemon a word means, and the way into it that loads nothing else: no command line library, no other daemon. The
// entries of the processes and `understudy guard|controller|run` come through here.
import module from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type DaemonOptions, pathsOf } from './options.js';
import { runDaemon } from './process-main.js';
import { OWN_WORDS, parseProcessWords } from './process-words.js';

export type DaemonName = 'guard' | 'controller' | 'run' | 'process';
type Start = (options: DaemonOptions) => Promise<{ stop(): Promise<void> }>;

/** How each is begun; the words are what the options leave over. */
const STARTS: Readonly<Record<DaemonName, (words: readonly string[]) => Promise<Start>>> = {
  guard: async () => (await import('./guard.js')).startGuard,
  controller: async () => {
    await import('reflect-metadata');
    return (await import('./controller.js')).startController;
  },
  run: async () => (await import('./run.js')).startRun,
  process: async (words) => {
    const which = parseProcessWords(words);
    const { startPluginProcess } = await import('./plugin-process.js');
    return (options) => startPluginProcess(which, options);
  },
};

export const isDaemon = (word: string | undefined): word is DaemonName => word !== undefined && Object.hasOwn(STARTS, word);

/** Of a plugin's process, for its file calls: cold reads and O_DIRECT need company (docs/adr/0012). Node's default is 4. */
const DATA_THREADS = 16;

/** By then the start is over, and what it left behind is garbage. */
const SETTLED_MS = 10_000;

/** V8 collects as the heap grows, and an idle daemon's does not: 4 MB of the controller's start would stay. Never in the guard. */
const collectOnce = (): void => (runInNewContext('gc') as () => void)();

/** Runs the daemon in this process until it is told to end. */
export const enterDaemon = async (name: DaemonName, all: readonly string[]): Promise<void> => {
  const own = name === 'process' ? all.slice(0, OWN_WORDS) : [];
  const words = all.slice(own.length);
  // A daemon idles: what the optimizing compilers would gain it never notices, and their code and data are 9 MB of its memory.
  // A plugin's process carries data, and does notice.
  if (name !== 'process') {
    setFlagsFromString('--no-opt');
    setFlagsFromString('--no-maglev');
  }
  // And lives from the depth of its file calls. Heard by the pool until its first call: nothing was asked of it so far.
  else process.env['UV_THREADPOOL_SIZE'] ??= String(DATA_THREADS);
  // All flags before the first line is compiled: compiled code is kept by them. The global `gc` is only in new contexts.
  setFlagsFromString('--expose-gc');
  await runDaemon(name, words, async (options) => {
    // Compiled code is read back only by a process with the same flags, and must not lie where others may write: so not in
    // the directory that all of this user's processes share.
    module.enableCompileCache(join(pathsOf(options).state, 'compiled'));
    const start = await STARTS[name](own);
    const running = await start(options);
    // Now, not at the end: a process that is killed has no end, and its successor is in a hurry.
    module.flushCompileCache();
    if (name !== 'guard') setTimeout(collectOnce, SETTLED_MS).unref();
    return running;
  });
};
