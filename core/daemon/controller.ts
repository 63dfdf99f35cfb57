// The controller's life: put together, begun, ended. Ending it stops nothing but itself (crash-only): the guard keeps the
// lease, the applications run on, and the next controller adopts them.
import { Orders } from '../api/orders.js';
import { Routes } from '../api/routes.js';
import { serveApi } from '../api/server.js';
import { FenceCheck } from '../scheduler/fence-check.js';
import { Health } from '../scheduler/health.js';
import { Quarantine } from '../scheduler/quarantine.js';
import { systemClock } from '../system/clock.js';
import { Exec } from '../system/exec.js';
import { apiSocket } from '../system/paths.js';
import { type ComposedController, composeController } from './compose.js';
import { beginController } from './controller-core.js';
import { handleCrashes } from './crash.js';
import { notifyReady } from './sd-notify.js';
import type { DaemonOptions } from './options.js';

export interface RunningController extends ComposedController {
  /** Ends it; everything it started runs on. */
  stop(): Promise<void>;
}

/** An upgrade takes seconds; so long the guard waits without counting restarts. */
const LEAVE_MS = 60_000;

/** Resolves when it serves. Rejects with the coded errors of what could not be begun. */
export const startController = async (options: DaemonOptions): Promise<RunningController> => {
  const composed = await composeController(options);
  const { container, parts, log, guard, node, config } = composed;
  const quarantine = container.resolve(Quarantine);
  const calm = handleCrashes({
    culprit: () => quarantine.culprit,
    quarantine: (type, because) => quarantine.put(type, because),
    ending: (type, what) => quarantine.ending(type, what),
    log: log.child('crash'),
    exit: (code) => process.exit(code),
  });
  const { journalTrouble } = composed;
  container.resolve(Health).add(() => (journalTrouble() === null ? null : `the journal of ${node} cannot be written`));
  guard.onState((connected, because) => log.info(connected ? 'the guard answers' : 'the guard is away', { because }));
  const core = await beginController(container, parts);
  const fenceCheck = container.resolve(FenceCheck);
  fenceCheck.start();
  const routes = container.resolve(Routes);
  container.resolve(Orders);
  const trouble = composed.alarms.passing('socket', systemClock, (because) => log.error('the API turns clients away', { because }));
  const api = await serveApi(apiSocket(composed.paths), (request) => routes.answer(request), log.child('api'), trouble);
  log.info('controller ready', { node, cluster: config.cluster, groups: config.groups.length });
  await notifyReady(container.resolve<Exec>(Exec), log);

  const stop = async (): Promise<void> => {
    await core.stop(LEAVE_MS, () => api.close());
    await fenceCheck.stop();
    calm();
    await log.close();
  };
  return { ...composed, stop };
};
