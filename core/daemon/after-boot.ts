// A host that was shut down in order went on standby first (`understudy standby self --why "host shutdown"`, the unit's
// ExecStop). When it is back, that standby has done its work and is lifted; one that an operator ordered is not.
import { reasonOf } from '../errors/errors.js';
import type { OrdersRequest } from '../guard/protocol.js';
import type { GuardView } from '../model/lease.js';
import type { Log } from '../plugin/contract.js';

/** The reason by which the standby of a shutdown is known. */
export const SHUTDOWN = 'host shutdown';

const TRIES = 10;
const AGAIN_MS = 5000;

export interface AfterBootOptions {
  readonly orders: (request: OrdersRequest) => Promise<unknown>;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Log;
}

/** Lifts it, trying a while where the arbiter is not there yet. Never rejects; nothing to do is most of the time. */
export const liftShutdownStandby = async (view: GuardView, { orders, sleep, log }: AfterBootOptions): Promise<void> => {
  const own = view.nodeOrders[view.self];
  if (own?.standby !== true || own.why !== SHUTDOWN) return;
  for (let round = 1; round <= TRIES; round += 1) {
    try {
      await orders({ key: 'node', node: view.self, set: { standby: false, by: 'understudy', why: 'the host is back' } });
      log.info('the standby of the shutdown is lifted');
      return;
    } catch (error) {
      log.warn('the standby of the shutdown is not lifted yet', { round, reason: reasonOf(error) });
      await sleep(AGAIN_MS);
    }
  }
  log.error('the standby of the shutdown is not lifted: this node takes nothing over', { next: `understudy unstandby ${view.self}` });
};
