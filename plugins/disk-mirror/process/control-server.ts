// The volume’s control socket: takes orders one connection at a time or many, answers each by its number, and tells watchers
// what changed. What an order does is the volume’s. Invariant: every order is answered once, also when carrying it out throws.
import { type FramedConnection, type FramedServer, type LocalSockets, reasonOf } from 'understudy/plugin';
import { type FromVolume, type Order, readOrder, type VolumeView } from './protocol.js';

/** Carries an order out. Rejects with the reason when it is refused or fails. */
export type CarryOut = (order: Order) => Promise<unknown>;

export interface ControlServerOptions {
  readonly sockets: LocalSockets;
  readonly path: string;
  readonly carryOut: CarryOut;
  readonly view: () => VolumeView;
  readonly trouble: (because: string) => void;
}

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #watchers = new Set<FramedConnection>();
  #server: FramedServer | null = null;

  constructor(options: ControlServerOptions) {
    this.#options = options;
  }

  /** Rejects with REFUSED when another process of this volume answers there. */
  async listen(): Promise<void> {
    const { sockets, path, trouble } = this.#options;
    this.#server = await sockets.listen(path, (connection) => this.#serve(connection), trouble);
  }

  /** To all who watch. */
  tell(view: VolumeView): void {
    for (const watcher of this.#watchers) watcher.send({ t: 'view', view } satisfies FromVolume);
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #serve(connection: FramedConnection): void {
    connection.onClose(() => this.#watchers.delete(connection));
    connection.onMessage((message) => {
      const order = readOrder(message);
      if (order === null) return connection.close();
      const answer = (value: FromVolume) => void connection.send(value);
      this.#carryOut(order, connection).then(
        (value) => answer({ id: order.id, ok: true, value }),
        (error: unknown) => answer({ id: order.id, ok: false, because: reasonOf(error) }),
      );
    });
  }

  async #carryOut({ id: _id, ...order }: Order & { readonly id: number }, connection: FramedConnection): Promise<unknown> {
    if (order.do === 'view') return this.#options.view();
    if (order.do !== 'watch') return this.#options.carryOut(order);
    this.#watchers.add(connection);
    return this.#options.view();
  }
}
