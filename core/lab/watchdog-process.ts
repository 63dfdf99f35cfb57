// The lab's watchdogs: one process for all hosts, outside every host, never touched by faults. Each host has a Unix stream
// socket with one JSON message a line (watchdog.ts). Not petted in time: it cuts that host's power by its own hand, because
// the lab itself may be busy, and then tells the lab. It goes on when the lab dies; only the end of the lab ends it.
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { dirname } from 'node:path';
import type { NodeId } from '../model/ids.js';
import { reasonOf } from '../errors/errors.js';
import { systemClock, type Timer } from '../system/clock.js';
import { blackout, type HostHandle } from './host-processes.js';
import { onLines } from './lines.js';
import { bitesAtMs, type Dog, dogStep, sleepingDog } from './watchdog.js';

export interface WatchdogHost {
  readonly node: NodeId;
  readonly socket: string;
  readonly handle: HostHandle;
}

/** To the process: a host's power was cycled. */
export type ToWatchdog = { readonly t: 'reset'; readonly node: NodeId };

export type FromWatchdog =
  | { readonly t: 'ready' }
  | { readonly t: 'bitten'; readonly node: NodeId; readonly timeoutMs: number; readonly atMs: number; readonly lateMs: number }
  | { readonly t: 'failed'; readonly node: NodeId; readonly why: string };

const tell = (message: FromWatchdog): void => {
  if (process.connected) process.send?.(message);
};

class HostDog {
  #dog: Dog = sleepingDog;
  #timer: Timer | null = null;
  readonly #sockets = new Set<Socket>();

  constructor(readonly host: WatchdogHost) {}

  listen(): Promise<void> {
    const { socket } = this.host;
    mkdirSync(dirname(socket), { recursive: true, mode: 0o700 });
    rmSync(socket, { force: true });
    const server = createServer((connection) => this.#serve(connection));
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(socket, resolve);
    });
  }

  reset(): void {
    this.#set(sleepingDog);
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(connection: Socket): void {
    this.#sockets.add(connection);
    connection.on('close', () => this.#sockets.delete(connection));
    onLines(connection, (line) => {
      const { dog, answer } = dogStep(this.#dog, line, systemClock.nowMs());
      if (dog !== this.#dog) this.#set(dog);
      if (!connection.destroyed) connection.write(`${JSON.stringify(answer)}\n`);
    });
  }

  #set(dog: Dog): void {
    this.#dog = dog;
    this.#timer?.cancel();
    const dueMs = bitesAtMs(dog);
    this.#timer = dueMs === null ? null : systemClock.after(dueMs - systemClock.nowMs(), () => this.#look(dueMs));
  }

  /** Timers run before sockets are read: a pet that arrived while this process waited for the CPU is read first. */
  #look(dueMs: number): void {
    setImmediate(() =>
      setImmediate(() => {
        if (bitesAtMs(this.#dog) !== dueMs) return;
        if (systemClock.nowMs() < dueMs) return this.#set(this.#dog);
        this.#bite(dueMs);
      }),
    );
  }

  #bite(dueMs: number): void {
    const { node, handle } = this.host;
    const { timeoutMs } = this.#dog;
    try {
      const atMs = blackout(handle);
      tell({ t: 'bitten', node, timeoutMs, atMs, lateMs: atMs - dueMs });
    } catch (thrown) {
      tell({ t: 'failed', node, why: reasonOf(thrown) });
    }
    this.reset();
  }
}

const main = async (hosts: readonly WatchdogHost[]): Promise<void> => {
  try {
    setPriority(-20);
  } catch (thrown) {
    // Without root it bites as punctually as the machine allows.
    process.stderr.write(`watchdog: no higher priority (${reasonOf(thrown)})\n`);
  }
  const dogs = new Map(hosts.map((host) => [host.node, new HostDog(host)]));
  for (const dog of dogs.values()) await dog.listen();
  process.on('message', (message: ToWatchdog) => dogs.get(message.node)?.reset());
  tell({ t: 'ready' });
};

await main(JSON.parse(process.argv[2] ?? '[]') as WatchdogHost[]);
