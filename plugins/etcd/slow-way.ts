// A way to one member of the lab's etcd that can be made slow, in both directions. Bytes keep their order.
import { type Server, type Socket, connect, createServer } from 'node:net';

export class SlowWay {
  delayMs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(host: string, port: number) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ host, port, noDelay: true });
      this.#carry(near, far);
      this.#carry(far, near);
    });
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, exclusive: true }, () => resolve());
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    let dueMs = 0;
    from.on('data', (bytes) => {
      const nowMs = performance.now();
      dueMs = Math.max(dueMs, nowMs + this.delayMs);
      if (dueMs <= nowMs) to.write(bytes);
      else setTimeout(() => to.destroyed || to.write(bytes), dueMs - nowMs);
    });
    from.on('error', () => from.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
