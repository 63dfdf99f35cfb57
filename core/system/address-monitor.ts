// One `ip monitor` child for everybody in this process who wants to know that addresses changed. It lives while somebody
// watches and dies with this process (pdeathsig, so that a kill -9 leaves none behind). If it dies it is started again, first
// after a second, then more and more seldom; a change in between is told by calling everybody. Without `ip` or setpriv
// nothing is told, and the polls of the monitors are all there is.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Timer } from './clock.js';

const FIRST_AGAIN_MS = 1000;
const LAST_AGAIN_MS = 60_000;

export class AddressMonitor {
  private readonly watchers = new Set<() => void>();
  private child: ChildProcess | null = null;
  private again: Timer | null = null;
  private againMs = FIRST_AGAIN_MS;

  constructor(private readonly clock: Clock) {}

  watch(changed: () => void): () => void {
    // A function of its own for each watcher: the same one may watch twice.
    const watcher = () => changed();
    this.watchers.add(watcher);
    if (this.child === null && this.again === null) this.begin();
    return () => {
      this.watchers.delete(watcher);
      if (this.watchers.size === 0) this.end();
    };
  }

  private begin(): void {
    this.again = null;
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'ip', '-o', 'monitor', 'address'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    this.child = child;
    // It must not keep the process alive, nor may its pipe.
    child.unref();
    (child.stdout as unknown as { unref(): void }).unref();
    // What changed is read from the system; one line of many says enough.
    child.stdout.on('data', () => {
      this.againMs = FIRST_AGAIN_MS;
      this.tell();
    });
    child.on('error', () => this.lost(child));
    child.on('exit', () => this.lost(child));
  }

  private lost(child: ChildProcess): void {
    if (this.child !== child) return;
    this.child = null;
    this.again = this.clock.after(
      this.againMs,
      () => {
        this.begin();
        this.tell();
      },
      { idle: true },
    );
    this.againMs = Math.min(this.againMs * 2, LAST_AGAIN_MS);
  }

  private end(): void {
    this.again?.cancel();
    this.again = null;
    const { child } = this;
    this.child = null;
    child?.kill('SIGKILL');
  }

  private tell(): void {
    for (const watcher of this.watchers) watcher();
  }
}
