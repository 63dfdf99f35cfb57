// A way between a client and a server that can lose what goes along it in either direction, or stand still. What was lost
// cannot be mended: connections that lost anything end when the way is good again.
import { type Server, type Socket, connect, createServer } from 'node:net';

export type Loss = 'none' | 'request' | 'answer';

export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly near: Socket; readonly far: Socket; lost: boolean }>();
  #loss: Loss = 'none';
  target: { host: string; port: number };

  constructor(target: { host: string; port: number }) {
    this.target = target;
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ ...this.target, noDelay: true });
      const pair = { near, far, lost: false };
      this.#pairs.add(pair);
      near.on('data', (bytes) => (this.#loss === 'request' ? (pair.lost = true) : far.write(bytes)));
      far.on('data', (bytes) => (this.#loss === 'answer' ? (pair.lost = true) : near.write(bytes)));
      for (const socket of [near, far]) {
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          near.destroy();
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

  /** Ends every connection, as a reset would. */
  reset(): void {
    for (const { near, far } of this.#pairs) [near, far].forEach((socket) => socket.destroy());
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.reset();
    await closed;
  }
}
