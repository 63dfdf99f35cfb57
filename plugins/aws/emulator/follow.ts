// Tells whoever moves real packets where each floating address goes now: one call for each effective change, in order for
// each address, and a change counts as told only when the call succeeded. What goes where is decided in routes.ts.
import { destinationOf, type Destination } from './routes.js';
import type { Vpc } from './vpc.js';

export interface RouteChange extends Destination {
  readonly address: string;
}

/** Resolves when packets follow. A rejection makes the API call that caused it fail. */
export type OnRoute = (change: RouteChange) => Promise<void>;

export class RouteFollower {
  private readonly told = new Map<string, string | null>();
  private readonly queues = new Map<string, Promise<void>>();

  /** `table` is the route table that the followed packets (the clients') meet. */
  constructor(
    private readonly table: string,
    private readonly onRoute: OnRoute,
  ) {}

  /** Tells every change from what was told before; resolves when all are real, rejects when one failed. */
  async update(current: () => Vpc): Promise<void> {
    const addresses = new Set([...floatingAddresses(current(), this.table), ...this.told.keys()]);
    const ended = await Promise.allSettled([...addresses].map((address) => this.inTurn(address, current)));
    const failed = ended.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  private inTurn(address: string, current: () => Vpc): Promise<void> {
    const before = this.queues.get(address) ?? Promise.resolve();
    const turn = before.then(
      () => this.tell(address, current()),
      () => this.tell(address, current()),
    );
    this.queues.set(address, turn);
    const forget = () => this.queues.get(address) === turn && this.queues.delete(address);
    turn.then(forget, forget);
    return turn;
  }

  private async tell(address: string, vpc: Vpc): Promise<void> {
    const destination = destinationOf(vpc, this.table, address);
    if (this.told.has(address) && this.told.get(address) === destination.interface) return;
    await this.onRoute({ address, ...destination });
    this.told.set(address, destination.interface);
  }
}

/** Addresses that may move: host routes of the table, and addresses that an interface has beyond its own. */
const floatingAddresses = (vpc: Vpc, table: string): readonly string[] => {
  const hosts = (vpc.routeTables[table]?.routes ?? []).filter(({ destination }) => /\/(32|128)$/.test(destination));
  const moved = Object.values(vpc.interfaces).flatMap((eni) => [...eni.secondary, ...eni.ipv6.slice(1)]);
  return [...hosts.map(({ destination }) => destination.split('/')[0]!), ...moved];
};
