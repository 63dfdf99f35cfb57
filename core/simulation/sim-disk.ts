// The files of a simulated host, in memory: `/run` is gone with the power, `/state` keeps what was synced. Faults: writes
// that fail, a slow fsync, an fsync that fails once. The same door as the real files (core/system/files).
import type { Files, FixedReader, FixedWriter, WriteOptions } from '../system/files.js';
import type { SimNode } from './sim-node.js';
import type { SimProcess } from './sim-process.js';

interface Entry {
  bytes: Buffer;
  /** What a loss of power leaves; null: nothing. */
  synced: Buffer | null;
  /** Another one after each replacement: what an open descriptor compares. */
  inode: number;
  /** Another one after each write. */
  version: number;
}

const systemError = (code: string, what: string): Error => Object.assign(new Error(`${code}: ${what}`), { code });

export class SimDisk {
  readonly #node: SimNode;
  readonly #entries = new Map<string, Entry>();
  #serial = 0;
  /** Every write fails with this code: ENOSPC, EIO, EROFS. */
  failing: { readonly code: string; readonly untilMs: number; readonly under: string } | null = null;
  /** Called after each write of a file, by whoever. */
  onWrite: ((path: string, bytes: Buffer) => void) | null = null;

  constructor(node: SimNode) {
    this.#node = node;
  }

  fails(path: string): boolean {
    const { failing } = this;
    return failing !== null && this.#node.world.nowMs < failing.untilMs && path.startsWith(failing.under);
  }

  /** The text of a file as the oracle reads it: no fault, no cost. */
  peek(path: string): string | null {
    return this.#entries.get(path)?.bytes.toString('latin1') ?? null;
  }

  peekBytes(path: string): Buffer | null {
    return this.#entries.get(path)?.bytes ?? null;
  }

  names(under: string): readonly string[] {
    return [...this.#entries.keys()].filter((path) => path.startsWith(under));
  }

  powerLost(): void {
    for (const [path, entry] of this.#entries) {
      if (path.startsWith('/state/') && entry.synced !== null) entry.bytes = entry.synced;
      else this.#entries.delete(path);
    }
    this.failing = null;
  }

  write(path: string, bytes: Buffer, options: { readonly inPlace?: boolean; readonly synced?: boolean } = {}): void {
    if (this.fails(path)) throw systemError(this.failing?.code ?? 'EIO', `write ${path}`);
    const before = this.#entries.get(path);
    this.#serial += 1;
    this.#entries.set(path, {
      bytes,
      synced: options.synced === true ? bytes : (before?.synced ?? null),
      inode: options.inPlace === true && before !== undefined ? before.inode : this.#serial,
      version: this.#serial,
    });
    this.onWrite?.(path, bytes);
  }

  /** Exclusive creation; false when it is there. */
  create(path: string): boolean {
    if (this.#entries.has(path)) return false;
    this.write(path, Buffer.alloc(0));
    return true;
  }

  rename(from: string, to: string): void {
    const entry = this.#entries.get(from);
    if (entry === undefined) throw systemError('ENOENT', `rename ${from}`);
    this.#entries.delete(from);
    this.#entries.set(to, entry);
  }

  remove(path: string): void {
    this.#entries.delete(path);
  }

  entry(path: string): Readonly<Entry> | undefined {
    return this.#entries.get(path);
  }

  /** The disk as one process uses it. A dead process writes nothing any more. */
  forProcess(owner: SimProcess): Files {
    const alive = (path: string) => {
      if (!owner.alive) throw systemError('EIO', `${owner.name} is dead and cannot use ${path}`);
    };
    const write = (path: string, bytes: Buffer, options: { inPlace?: boolean; synced?: boolean }) => {
      alive(path);
      this.write(path, bytes, options);
      owner.systemCall();
    };
    return {
      read: (path) => {
        const entry = this.#entries.get(path);
        return entry === undefined ? null : Buffer.from(entry.bytes);
      },
      exists: (path) => this.#entries.has(path),
      stamp: (path) => {
        const entry = this.#entries.get(path);
        return entry === undefined ? null : String(entry.version);
      },
      makeDirectory: () => undefined,
      remove: (path) => {
        alive(path);
        this.#entries.delete(path);
      },
      replaceSync: (path, text, { fsync }: WriteOptions) => write(path, Buffer.from(text), { synced: fsync }),
      replace: (path, text, { fsync }) =>
        new Promise((resolve, reject) => {
          // The rename is what everybody sees; the sync of bytes and directory is what the power spares.
          owner.enqueue('socket', fsync ? owner.chance.heavyTail(1, 60) : 0.1, () => {
            try {
              write(path, Buffer.from(text), { synced: fsync });
              resolve();
            } catch (error) {
              reject(error as Error);
            }
          });
        }),
      openFixed: (path, size): FixedWriter => {
        const there = this.#entries.get(path);
        if (there === undefined || there.bytes.length !== size) write(path, Buffer.alloc(size, 32), {});
        return { write: (bytes) => write(path, Buffer.from(bytes), { inPlace: true }), close: () => undefined };
      },
      followFixed: (path): FixedReader => {
        let inode: number | null = null;
        return {
          refresh: () => {
            const found = this.#entries.get(path)?.inode ?? null;
            const other = found !== inode;
            inode = found;
            return other;
          },
          read: (into) => {
            if (inode === null) return null;
            const entry = this.#entries.get(path);
            if (entry === undefined || entry.inode !== inode) return null;
            return entry.bytes.copy(into);
          },
          close: () => undefined,
        };
      },
    };
  }
}
