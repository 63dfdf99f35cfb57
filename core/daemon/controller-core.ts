// The controller without its host: what the scheduler, the link and the guard's connection are given, how they are put
// together, begun and ended. The process on a real host (controller.ts) and a simulated one are both made of this, so that
// what is simulated is what runs. Touches nothing by itself; every door is a part that is handed in.
import type { DependencyContainer } from 'tsyringe';
import type { ClusterConfig } from '../config/cluster-config.js';
import type { GuardClient } from '../guard/client.js';
import { Journal } from '../journal/journal.js';
import { Link, LinkOptions } from '../link/link.js';
import type { NodeReport } from '../link/messages.js';
import type { LinkNetwork } from '../link/network.js';
import type { BootId, NodeId } from '../model/ids.js';
import { plan } from '../planner/plan.js';
import { Cycle } from '../scheduler/cycle.js';
import { Failures } from '../scheduler/failures.js';
import { HookSource } from '../scheduler/hooks.js';
import { Loop } from '../scheduler/loop.js';
import { Agents, CaptureStore, DesiredSource, GuardDoor, LeasePages, Logs, PeerReports, Planner, Self } from '../scheduler/ports.js';
import { Quarantine } from '../scheduler/quarantine.js';
import { WarmUp } from '../scheduler/warm-up.js';
import type { Clock } from '../system/clock.js';
import type { Files } from '../system/files.js';
import { openPageReader, type PageClocks, type PageReader } from '../system/page-file.js';
import { leasePage, type Paths } from '../system/paths.js';
import { liftShutdownStandby } from './after-boot.js';
import { registerScheduler } from './compose-scheduler.js';

/** What stands behind the scheduler's ports, the link and the guard's connection. */
export interface ControllerParts {
  readonly config: ClusterConfig;
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly platform: NodeJS.Platform;
  readonly paths: Paths;
  readonly pid: number;
  readonly clock: Clock;
  readonly files: Files;
  readonly pageClocks: PageClocks;
  readonly journal: Journal;
  readonly logs: Logs;
  readonly guard: GuardClient;
  readonly desired: DesiredSource;
  readonly agents: Agents;
  readonly hooks: HookSource;
  readonly captures: CaptureStore;
  readonly network: LinkNetwork;
}

/** Registers everything but the doors to the host (core/daemon/host) and the fence. */
export const provideController = (container: DependencyContainer, parts: ControllerParts): void => {
  const { config, node, bootId, paths, platform } = parts;
  const provide = <T>(token: symbol, value: T) => container.register<T>(token, { useValue: value });
  provide<Journal>(Journal, parts.journal);
  provide<Self>(Self, { cluster: config.cluster, node, bootId, runDir: paths.run, logDir: paths.log, platform });
  provide<DesiredSource>(DesiredSource, parts.desired);
  provide<Planner>(Planner, plan);
  provide<GuardDoor>(GuardDoor, guardDoor(parts.guard));
  provide<LeasePages>(LeasePages, leasePages(parts));
  provide<Agents>(Agents, parts.agents);
  provide<HookSource>(HookSource, parts.hooks);
  provide<CaptureStore>(CaptureStore, parts.captures);
  provide<Logs>(Logs, parts.logs);
  provide<LinkOptions>(LinkOptions, linkOptions(parts));
  container.registerSingleton(Link);
  provide<PeerReports>(PeerReports, { of: (peer) => container.resolve(Link).of(peer) });
  registerScheduler(container);
};

/** One that has begun. */
export interface BegunController {
  /** Stops nothing but itself; the guard waits so long for the next one. `others` still need the guard and end before its door is closed. */
  stop(leaveMs: number, others?: () => Promise<void>): Promise<void>;
}

/** Begins what was put together; resolves when the link listens. */
export const beginController = async (
  container: DependencyContainer,
  { config, node, bootId, pid, clock, journal, logs, guard }: ControllerParts,
): Promise<BegunController> => {
  const [loop, link, cycle, failures, quarantine] = [
    container.resolve(Loop),
    container.resolve(Link),
    container.resolve(Cycle),
    container.resolve(Failures),
    container.resolve(Quarantine),
  ];
  const adopting = failures.load();
  quarantine.open();
  journal.write({
    kind: adopting ? 'controller.adopted' : 'controller.start',
    because: adopting
      ? 'an earlier controller of this boot was here: everything is looked at, nothing that runs is started'
      : 'the controller began',
    data: { pid },
  });
  const report = (): NodeReport => ({ node, bootId, cfgHash: config.cfgHash, groups: groupReports(cycle) });
  let afterBoot = !adopting;
  guard.onView((view) => {
    link.bootsHeard(view.peers);
    loop.guardSpoke(view);
    // Only when the record was read: before, nobody knows what is ordered.
    if (!afterBoot || view.arbiter.state !== 'ok') return;
    afterBoot = false;
    const orders: Parameters<typeof liftShutdownStandby>[1]['orders'] = (request) => guard.orders(request);
    void liftShutdownStandby(view, { orders, sleep: (ms) => clock.sleep(ms), log: logs.child('boot') });
  });
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
  const stop: BegunController['stop'] = async (leaveMs, others) => {
    guard.leave(leaveMs);
    loop.stop();
    await Promise.all([others?.(), link.stop()]);
    guard.close();
    await failures.settled();
    await journal.close();
    quarantine.close();
  };
  return { stop };
};

const guardDoor = (guard: GuardClient): GuardDoor => ({
  view: () => guard.view(),
  wills: (wills, loopLagMs) => void guard.sendWills(wills, loopLagMs),
  orders: (request) => guard.orders(request),
  restore: (group, epoch, why) => guard.restore(group, epoch, why),
  fenced: (evidence) => void guard.fenced(evidence),
});

const leasePages = ({ paths, pageClocks, files }: ControllerParts): LeasePages => {
  const readers = new Map<string, PageReader>();
  return {
    read: (group) => {
      let reader = readers.get(group);
      if (reader === undefined) readers.set(group, (reader = openPageReader(leasePage(paths, group), pageClocks, files)));
      return reader.read();
    },
  };
};

const linkOptions = ({ config, node, network }: ControllerParts): LinkOptions => {
  const addressesOf = (id: NodeId) => config.nodes.find((one) => one.id === id)?.networks.heartbeat ?? [];
  return {
    network,
    port: config.ports.link,
    own: addressesOf(node),
    peers: Object.fromEntries(config.nodes.filter(({ id }) => id !== node).map(({ id }) => [id, addressesOf(id)])),
  };
};

/** What this node says of each group: how its resources are here, and why it could not take the group now. */
const groupReports = ({ last }: Cycle): NodeReport['groups'] => {
  if (last === null) return {};
  return Object.fromEntries(
    last.desired.groups.map(({ id }) => {
      const seen = last.observed.groups[id]?.resources ?? {};
      const resources = Object.fromEntries(
        Object.entries(seen).map(([resource, { state, reason, mirror }]) => [
          resource,
          { state, reason, ...(mirror === undefined ? {} : { mirror }) },
        ]),
      );
      return [id, { resources, blockers: last.plan.wills.find((will) => will.group === id)?.blockers ?? ['nothing is decided yet'] }];
    }),
  );
};
