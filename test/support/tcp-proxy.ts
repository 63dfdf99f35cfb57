// A way between a client and a server that can lose what goes along it in either direction, or stand still. What was lost
// cannot be mended: connections that lost anything end when the way is good again.
import { type Server, type Socket, connect, createServer } from 'node:net';

export type Loss = 'none' | 'request' | 'answer';

export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly near: Socket; readonly far: Socket; lost: boolean }>();
  #loss: Loss = 'none';
  /** What stands on the way to the server, in order; null: nothing is held. */
  #held: (() => void)[] | null = null;
  #refuses = false;
  target: { host: string; port: number };

  constructor(target: { host: string; port: number }) {
    this.target = target;
    this.#server = createServer({ noDelay: true }, (near) => {
      if (this.#refuses) return near.resetAndDestroy();
      const far = connect({ ...this.target, noDelay: true });
      const pair = { near, far, lost: false };
      this.#pairs.add(pair);
      near.on('data', (bytes) => {
        if (this.#held !== null) this.#held.push(() => far.write(bytes));
        else if (this.#loss === 'request') pair.lost = true;
        else far.write(bytes);
      });
      far.on('data', (bytes) => (this.#loss === 'answer' ? (pair.lost = true) : near.write(bytes)));
      for (const socket of [near, far]) {
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          near.destroy();
          // What is held lands even when its sender is gone.
          if (this.#held !== null && !far.destroyed) return void this.#held.push(() => far.end());
          far.destroy();
          this.#pairs.delete(pair);
        });
      }
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as { port: number }).port;
  }

  lose(loss: Loss): void {
    this.#loss = loss;
    if (loss === 'none') for (const { near, far, lost } of this.#pairs) if (lost) [near, far].forEach((socket) => socket.destroy());
  }

  /** From now on requests stand on the way, whatever becomes of their senders. The returned function lets them go on. */
  hold(): () => void {
    this.#held = [];
    return () => {
      const held = this.#held ?? [];
      this.#held = null;
      for (const arrive of held) arrive();
    };
  }

  /** Resets every connection there is and every new one, or lets them be again. */
  refuse(on: boolean): void {
    this.#refuses = on;
    if (on) this.reset();
  }

  /** Ends every connection, as a reset would. */
  reset(): void {
    for (const { near, far } of this.#pairs) [near, far].forEach((socket) => socket.destroy());
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#held = null;
    this.reset();
    await closed;
  }
}
