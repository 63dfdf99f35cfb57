// Connections between processes of one simulated host, as a Unix socket gives them: in order, reliable, ended by the death
// of either side, and read only when the other side runs. Messages are copied as JSON copies them.
import { UnderstudyError } from '../errors/errors.js';
import type { FramedConnection, FramedServer, LocalSockets } from '../system/framed-socket.js';
import type { SimProcess } from './sim-process.js';

/** A message between two processes of one host. */
const HOP_MS = 0.05;

interface Listening {
  readonly owner: SimProcess;
  readonly onConnection: (connection: FramedConnection) => void;
}

export class SimSockets {
  readonly #listening = new Map<string, Listening>();

  clear(): void {
    this.#listening.clear();
  }

  forProcess(owner: SimProcess): LocalSockets {
    return {
      listen: (path, onConnection) => this.#listen(owner, path, onConnection),
      connect: (path) => this.#connect(owner, path),
    };
  }

  async #listen(owner: SimProcess, path: string, onConnection: Listening['onConnection']): Promise<FramedServer> {
    const there = this.#listening.get(path);
    if (there?.owner.alive === true)
      throw new UnderstudyError('REFUSED', `cannot listen on ${path}: another process already answers there`);
    const listening = { owner, onConnection };
    this.#listening.set(path, listening);
    const connections = new Set<End>();
    owner.onEnd(() => {
      if (this.#listening.get(path) === listening) this.#listening.delete(path);
    });
    return {
      close: async () => {
        if (this.#listening.get(path) === listening) this.#listening.delete(path);
        for (const connection of connections) connection.close();
      },
    };
  }

  #connect(owner: SimProcess, path: string): Promise<FramedConnection> {
    return new Promise((resolve, reject) => {
      const there = this.#listening.get(path);
      if (there === undefined || !there.owner.alive) {
        owner.enqueue('socket', HOP_MS, () => reject(Object.assign(new Error(`connect ECONNREFUSED ${path}`), { code: 'ECONNREFUSED' })));
        return;
      }
      // The kernel accepts into the backlog, also for a process that is stopped.
      const near = new End(owner);
      const far = new End(there.owner);
      near.other = far;
      far.other = near;
      there.owner.enqueue('socket', HOP_MS, () => there.onConnection(far));
      owner.enqueue('socket', 2 * HOP_MS, () => resolve(near));
    });
  }
}

/** One end, in one process. */
class End implements FramedConnection {
  other: End | null = null;
  readonly #owner: SimProcess;
  #onMessage: ((message: unknown) => void) | null = null;
  #onClose: ((because: string) => void) | null = null;
  #early: unknown[] = [];
  #ended: string | null = null;

  constructor(owner: SimProcess) {
    this.#owner = owner;
    owner.onEnd(() => {
      this.#ended ??= 'this process is dead';
      this.other?.hangUp();
    });
  }

  send(message: unknown): boolean {
    const { other } = this;
    if (this.#ended !== null || !this.#owner.alive || other === null) return false;
    const copy = asJsonCopies(message);
    const { world } = this.#owner.node;
    world.at(this.#owner.trueMs + HOP_MS, () => other.#owner.deliver('socket', () => other.#arrive(copy)));
    return true;
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#onMessage = listener;
    const early = this.#early;
    this.#early = [];
    for (const message of early) listener(message);
  }

  onClose(listener: (because: string) => void): void {
    this.#onClose = listener;
    if (this.#ended !== null) listener(this.#ended);
  }

  close(): void {
    if (this.#ended !== null) return;
    this.other?.hangUp();
    this.#owner.enqueue('socket', 0, () => this.#end('closed by this side'));
  }

  /** The other side is gone. */
  hangUp(): void {
    this.#owner.enqueue('socket', HOP_MS, () => this.#end('the other side closed the connection'));
  }

  #arrive(message: unknown): void {
    if (this.#ended !== null) return;
    if (this.#onMessage === null) this.#early.push(message);
    else this.#onMessage(message);
  }

  #end(because: string): void {
    if (this.#ended !== null) return;
    this.#ended = because;
    this.#onClose?.(because);
  }
}

/** What JSON.parse makes of JSON.stringify, without the text: own enumerable fields, no undefined, no number that is not finite. */
const asJsonCopies = (value: unknown): unknown => {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (const entry of value as readonly unknown[]) list.push(entry === undefined ? null : asJsonCopies(entry));
    return list;
  }
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const entry = (value as Readonly<Record<string, unknown>>)[key];
    // Most are texts and flags: those cost no call.
    if (typeof entry === 'string' || typeof entry === 'boolean' || entry === null) copy[key] = entry;
    else if (entry !== undefined && typeof entry !== 'function') copy[key] = asJsonCopies(entry);
  }
  return copy;
};
