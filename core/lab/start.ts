// Starts a lab's daemon and waits until the lab is up. Chooses what was left open: the substrate, the id, and the number whose
// loopback addresses it uses.
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lstatSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UnderstudyError } from '../errors/errors.js';
import { cleanLab, findLabs, isHeld, LabClient, labError } from './client.js';
import type { FromDaemon } from './control.js';
import type { DaemonPlan } from './daemon-process.js';
import { LAB_MARK } from './host-processes.js';
import type { LabOptions } from './lab.js';
import { lastWords, startProcess } from './lab-process.js';
import { netnsObstacle } from './netns-cleanup.js';
import { readyWithin } from './ready.js';
import { DEFAULT_PORT, labDirectory, planTopology, type SubstrateKind } from './topology.js';

export interface StartLabOptions {
  readonly id: string;
  /** `auto`: netns where it can be, else loopback. */
  readonly substrate: SubstrateKind | 'auto';
  readonly nodes: readonly string[];
  readonly floating?: readonly string[];
  readonly options: LabOptions;
  readonly base?: string;
  /** Hears what is being done; steps begin with the choice of the substrate. */
  readonly onStep?: (text: string) => void;
  /** Ends the start and takes down what there is of the lab. */
  readonly signal?: AbortSignal;
}

const UP_LIMIT_MS = 60_000;
const END_LIMIT_MS = 15_000;

const freePort = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });

/** A number whose addresses no other lab has, beginning at one that the id gives. */
const loopbackNumber = async (id: string, base: string): Promise<number> => {
  const taken = new Set(findLabs(base).map(({ topology }) => topology?.number ?? 0));
  const first = Array.from(id).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 253, 7);
  for (let step = 0; step < 253; step++) {
    const number = ((first + step) % 253) + 2;
    if (!taken.has(number) && (await freePort(`127.${number}.0.10`, DEFAULT_PORT))) return number;
  }
  throw new UnderstudyError('LAB_FAILED', 'could not make the lab: the loopback addresses of all labs are taken', {
    hint: 'understudy lab down ends a lab.',
  });
};

const chooseSubstrate = (wanted: SubstrateKind | 'auto'): { kind: SubstrateKind; because: string } => {
  if (wanted === 'loopback') return { kind: 'loopback', because: 'asked for' };
  const obstacle = netnsObstacle();
  if (obstacle === null) return { kind: 'netns', because: wanted === 'netns' ? 'asked for' : 'root, with network namespaces' };
  if (wanted === 'netns')
    throw new UnderstudyError('LAB_FAILED', `could not make network namespaces: ${obstacle}`, {
      hint: 'Run it as root, or with --substrate loopback.',
    });
  return { kind: 'loopback', because: obstacle };
};

/** An id may be used when no lab has it, or when the lab that had it is stale: that one is cleaned up. */
const freeId = async (id: string, base: string, onStep: (text: string) => void): Promise<void> => {
  try {
    (await LabClient.connect(id, base)).close();
  } catch (thrown) {
    if (!(thrown instanceof UnderstudyError)) throw thrown;
    if (isHeld(id))
      throw new UnderstudyError('USAGE', `lab ${id} is up already, with its directory elsewhere`, {
        hint: 'Choose another --id.',
        cause: thrown,
      });
    if (thrown.code !== 'NOT_FOUND') onStep(`cleaning up what was left of lab ${id}`);
    return cleanLab(id, base);
  }
  throw new UnderstudyError('USAGE', `lab ${id} is up already`, {
    hint: `Use it (understudy lab status --id ${id}), end it (understudy lab down --id ${id}), or choose another --id.`,
  });
};

/** Temporary directories are everybody's: what is there already must be ours alone, or root would follow somebody's links. */
const claimDirectory = (directory: string): void => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = lstatSync(directory);
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) return;
  throw new UnderstudyError('LAB_FAILED', `could not use ${directory}: it belongs to somebody else or is open to others`, {
    hint: 'Choose another --id, or another directory with TMPDIR.',
  });
};

/** Rejects when the lab did not come up; nothing is left of it then. */
export const startLab = async (options: StartLabOptions): Promise<LabClient> => {
  const { id, base = tmpdir(), onStep = () => undefined } = options;
  const { kind, because } = chooseSubstrate(options.substrate);
  onStep(`substrate ${kind} (${because})`);
  const planned = { id, kind, nodes: options.nodes, base, ...(options.floating ? { floating: options.floating } : {}) };
  planTopology({ ...planned, number: 1 });
  await freeId(id, base, onStep);
  const plan: DaemonPlan = {
    topology: planTopology({ ...planned, number: kind === 'loopback' ? await loopbackNumber(id, base) : 0 }),
    options: options.options,
    base,
  };
  claimDirectory(labDirectory(id, base));
  const logFile = join(labDirectory(id, base), 'daemon.log');
  const up = readyWithin(UP_LIMIT_MS, `lab ${id}`);
  const daemon = startProcess(
    {
      argv: [process.execPath, fileURLToPath(new URL('./daemon-process.js', import.meta.url)), JSON.stringify(plan)],
      env: { [LAB_MARK]: id },
    },
    {
      logFile,
      ipc: true,
      onMessage: (received) => {
        const message = received as FromDaemon;
        if (message.t === 'step') onStep(message.text);
        else if (message.t === 'up') up.resolve();
        else up.reject(labError(message.error));
      },
    },
  );
  const abort = (): void => up.reject(new UnderstudyError('LAB_FAILED', `lab ${id} was interrupted while it came up`));
  options.signal?.addEventListener('abort', abort, { once: true });
  void daemon.exited.then(() =>
    up.reject(new UnderstudyError('LAB_FAILED', `the daemon of lab ${id} ended before the lab was up: ${lastWords(logFile)}`)),
  );
  try {
    if (options.signal?.aborted) abort();
    await up.promise;
    daemon.release();
    return await LabClient.connect(id, base);
  } catch (thrown) {
    // It goes down by itself when it can; what it leaves is cleaned up here.
    daemon.kill('SIGTERM');
    const late = readyWithin(END_LIMIT_MS, 'the end of the daemon');
    await Promise.race([daemon.exited, late.promise.catch(() => daemon.kill('SIGKILL'))]);
    late.resolve();
    cleanLab(id, base);
    throw thrown;
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
};
