// How everything outside speaks to a lab's daemon: the CLI, the demo, tests. Starts a lab, finds labs (living and stale),
// sends orders, and cleans up a lab whose daemon is gone.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ErrorCode, ERRORS, reasonOf, UnderstudyError } from '../errors/errors.js';
import type { LabAnswers, LabLine, LabRequest } from './control.js';
import { commandLineOf, killLab, LAB_MARK, pidsWithMark } from './host-processes.js';
import { dropMounts } from './host-mounts.js';
import { namespacesOf, removeNetns } from './netns-cleanup.js';
import { onLines } from './lines.js';
import { type Ready, readyWithin } from './ready.js';
import { labControlSocket, labDirectory, type LabTopology } from './topology.js';

interface Asked {
  readonly answer: Ready<unknown>;
  readonly part: (value: unknown) => void;
}

export class LabClient {
  readonly #waiting = new Map<number, Asked>();
  #asked = 0;

  private constructor(
    readonly id: string,
    private readonly socket: Socket,
  ) {
    onLines(socket, (text) => this.#hear(JSON.parse(text) as LabLine));
    socket.on('close', () => {
      for (const { answer } of this.#waiting.values()) answer.reject(new UnderstudyError('LAB_FAILED', `lab ${id} closed the connection`));
    });
  }

  /** Rejects with NOT_FOUND when there is no such lab, LAB_FAILED when its daemon is gone. */
  static async connect(id: string, base: string = tmpdir()): Promise<LabClient> {
    if (!existsSync(labDirectory(id, base)))
      throw new UnderstudyError('NOT_FOUND', `there is no lab ${id}`, { hint: 'Make one with: understudy lab up' });
    const socket = createConnection(labControlSocket(id, base));
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) =>
        reject(
          new UnderstudyError('LAB_FAILED', `lab ${id} is stale: its daemon does not answer (${error.message})`, {
            hint: `Clean it up with: understudy lab down --id ${id}`,
            cause: error,
          }),
        ),
      );
    });
    return new LabClient(id, socket);
  }

  /** Asks and waits at most `limitMs`; `part` hears what comes before the answer. */
  async ask<Op extends LabRequest['op']>(
    request: LabRequest & { readonly op: Op },
    limitMs = 60_000,
    part: (value: LabAnswers[Op]) => void = () => undefined,
  ): Promise<LabAnswers[Op]> {
    const id = ++this.#asked;
    const answer = readyWithin<unknown>(limitMs, `lab ${this.id}: ${request.op}`);
    this.#waiting.set(id, { answer, part: part as (value: unknown) => void });
    try {
      this.socket.write(`${JSON.stringify({ ...request, id })}\n`);
      return (await answer.promise) as LabAnswers[Op];
    } finally {
      this.#waiting.delete(id);
    }
  }

  close(): void {
    this.socket.destroy();
  }

  #hear(line: LabLine): void {
    const asked = this.#waiting.get(line.id);
    if (asked === undefined) return;
    if ('part' in line) asked.part(line.part);
    else if ('error' in line) asked.answer.reject(labError(line.error));
    else asked.answer.resolve(line.value);
  }
}

/** An error as it was on the other side of a socket or channel. */
export const labError = ({
  code,
  message,
  hint,
}: {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}): UnderstudyError => new UnderstudyError(code in ERRORS ? (code as ErrorCode) : 'LAB_FAILED', message, hint === '' ? {} : { hint });

export interface FoundLab {
  readonly id: string;
  readonly topology: LabTopology | null;
}

/** Every lab that has a directory, living or stale. */
export const findLabs = (base: string = tmpdir()): readonly FoundLab[] =>
  readdirSync(base)
    .flatMap((name) => /^understudy-lab-([a-z0-9]{1,12})$/.exec(name)?.[1] ?? [])
    .map((id) => ({ id, topology: topologyOf(id, base) }));

/** Whether a living daemon holds a lab of this id, wherever its directory is: names of namespaces know no directories. */
export const isHeld = (id: string): boolean =>
  pidsWithMark(`${LAB_MARK}=${id}`).some((pid) => (commandLineOf(pid) ?? []).some((word) => word.endsWith('daemon-process.js')));

/** The first of `name`, `name2`, … that no lab has. */
export const freeLabId = (name: string, base?: string): string => {
  const taken = new Set(findLabs(base).map(({ id }) => id));
  const free = [name, ...Array.from({ length: 98 }, (_, at) => `${name}${at + 2}`)].find((id) => !taken.has(id) && !isHeld(id));
  if (free === undefined)
    throw new UnderstudyError('LAB_FAILED', `too many labs are called ${name}`, { hint: 'End them with: understudy lab down --all' });
  return free;
};

const topologyOf = (id: string, base: string): LabTopology | null => {
  const file = join(labDirectory(id, base), 'lab.json');
  if (!existsSync(file)) return null;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LabTopology;
  } catch (thrown) {
    // Half written by a daemon that was killed: the lab is stale, and its id is enough to clean it up.
    process.emitWarning(`lab ${id}: ${file} cannot be read: ${reasonOf(thrown)}`);
    return null;
  }
};

/** Removes whatever is left of a lab, without its daemon. Idempotent. */
export const cleanLab = (id: string, base: string = tmpdir()): void => {
  if (process.getuid?.() === 0 && process.platform === 'linux') removeNetns(id);
  else if (namespacesOf(id).length > 0)
    throw new UnderstudyError('LAB_FAILED', `lab ${id} was made by root`, { hint: `Run: sudo understudy lab down --id ${id}` });
  else killLab(id);
  dropMounts(labDirectory(id, base));
  rmSync(labDirectory(id, base), { recursive: true, force: true });
};

/** Takes a lab down: by its daemon if it answers, else by hand. Resolves to how. */
export const takeDown = async (id: string, base: string = tmpdir()): Promise<'ordered' | 'cleaned'> => {
  try {
    const client = await LabClient.connect(id, base);
    await client.ask({ op: 'down' }, 30_000);
    client.close();
    cleanLab(id, base);
    return 'ordered';
  } catch (thrown) {
    if (thrown instanceof UnderstudyError && thrown.code === 'NOT_FOUND' && namespacesOf(id).length === 0) throw thrown;
    cleanLab(id, base);
    return 'cleaned';
  }
};
