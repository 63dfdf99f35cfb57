// The controller's life: put together, begun, ended. Ending it stops nothing but itself (crash-only): the guard keeps the
// lease, the applications run on, and the next controller adopts them.
import { Orders } from '../api/orders.js';
import { Routes } from '../api/routes.js';
import { serveApi } from '../api/server.js';
import { Link } from '../link/link.js';
import type { NodeReport } from '../link/messages.js';
import { Cycle } from '../scheduler/cycle.js';
import { Failures } from '../scheduler/failures.js';
import { Health } from '../scheduler/health.js';
import { Loop } from '../scheduler/loop.js';
import { Quarantine } from '../scheduler/quarantine.js';
import { WarmUp } from '../scheduler/warm-up.js';
import { systemClock } from '../system/clock.js';
import { Exec } from '../system/exec.js';
import { apiSocket } from '../system/paths.js';
import { type ComposedController, composeController } from './compose.js';
import { liftShutdownStandby } from './after-boot.js';
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
  const { container, log, journal, guard, bootId, node, config } = composed;
  const [loop, link, cycle, failures, quarantine, health] = [
    container.resolve(Loop),
    container.resolve(Link),
    container.resolve(Cycle),
    container.resolve(Failures),
    container.resolve(Quarantine),
    container.resolve(Health),
  ];
  const calm = handleCrashes({
    culprit: () => quarantine.culprit,
    quarantine: (type, because) => quarantine.put(type, because),
    log: log.child('crash'),
    exit: (code) => process.exit(code),
  });
  const adopting = failures.load();
  quarantine.open();
  health.add(() => (composed.journalTrouble() === null ? null : `the journal of ${node} cannot be written`));
  journal.write({
    kind: adopting ? 'controller.adopted' : 'controller.start',
    because: adopting
      ? 'an earlier controller of this boot was here: everything is looked at, nothing that runs is started'
      : 'the controller began',
    data: { pid: process.pid },
  });

  const report = (): NodeReport => ({ node, bootId, cfgHash: config.cfgHash, groups: groupReports(cycle) });
  let afterBoot = !adopting;
  guard.onView((view) => {
    loop.guardSpoke(view);
    // Only when the record was read: before, nobody knows what is ordered.
    if (!afterBoot || view.arbiter.state !== 'ok') return;
    afterBoot = false;
    void liftShutdownStandby(view, {
      orders: (request) => guard.orders(request),
      sleep: (ms) => systemClock.sleep(ms),
      log: log.child('boot'),
    });
  });
  guard.onState((connected, because) => log.info(connected ? 'the guard answers' : 'the guard is away', { because }));
  link.onChange(() => loop.soon('a peer reported'));
  loop.onCycle(() => link.reportIfChanged());
  loop.start();
  container.resolve(WarmUp).run();
  guard.start();
  await link.start({
    report,
    order: (request) => guard.orders(request),
    prepare: (group) => ({ blockers: groupReports(cycle)[group]?.blockers ?? [`${node} has no group ${group}`] }),
  });
  const routes = container.resolve(Routes);
  container.resolve(Orders);
  const trouble = composed.alarms.passing('socket', systemClock, (because) => log.error('the API turns clients away', { because }));
  const api = await serveApi(apiSocket(composed.paths), (request) => routes.answer(request), log.child('api'), trouble);
  log.info('controller ready', { node, cluster: config.cluster, groups: config.groups.length });
  await notifyReady(container.resolve<Exec>(Exec), log);

  const stop = async (): Promise<void> => {
    guard.leave(LEAVE_MS);
    loop.stop();
    await Promise.all([api.close(), link.stop()]);
    guard.close();
    await failures.settled();
    await journal.close();
    quarantine.close();
    calm();
    await log.close();
  };
  return { ...composed, stop };
};

/** What this node says of each group: how its resources are here, and why it could not take the group now. */
const groupReports = ({ last }: Cycle): NodeReport['groups'] => {
  if (last === null) return {};
  return Object.fromEntries(
    last.desired.groups.map(({ id }) => {
      const seen = last.observed.groups[id]?.resources ?? {};
      const resources = Object.fromEntries(Object.entries(seen).map(([resource, { state, reason }]) => [resource, { state, reason }]));
      return [id, { resources, blockers: last.plan.wills.find((will) => will.group === id)?.blockers ?? ['nothing is decided yet'] }];
    }),
  );
};
