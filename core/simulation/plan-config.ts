// The config of a drawn plan, as a file would say it, through the parser that reads files. Pure.
import type { ClusterConfig } from '../config/cluster-config.js';
import { parseConfigOrThrow } from '../config/parse.js';
import { clockOnlyWait, manyPausesWait, sleepingGuardWait } from '../config/timing-proof.js';
import { type Plan, nodeIds } from './fault-plan.js';

export const GROUP = 'g';
export const CLUSTER = 'simulated';
/** Of the mirrors alone, where a plan has one. */
export const MIRROR_NETWORK = 2;

export const configOf = (plan: Plan, resources: Readonly<Record<string, unknown>> = { app: { use: 'simulated' } }): ClusterConfig => {
  const ids = nodeIds(plan.nodes);
  const address = (node: number, network: number) => `10.${network}.0.${node + 1}`;
  const networks = Array.from({ length: plan.heartbeatNetworks }, (_, network) => network);
  const addresses = (node: number) => ({
    heartbeat: networks.map((network) => address(node, network)),
    ...(plan.mirrorNetwork === true ? { mirror: address(node, MIRROR_NETWORK) } : {}),
  });
  const text = JSON.stringify({
    cluster: CLUSTER,
    key: 'file:/etc/understudy/cluster.key',
    nodes: Object.fromEntries(ids.map((id, node) => [id, { networks: addresses(node) }])),
    arbiter: { use: 'simulated' },
    ...(plan.watchdog ? { watchdog: 'socket:/run/dog' } : {}),
    fencing:
      plan.fencing === 'none'
        ? { policy: 'none', unsafe: true }
        : plan.fence === true
          ? { policy: plan.fencing, use: 'simulated' }
          : plan.fencing,
    timing: { profile: plan.profile, strict: plan.strict },
    groups: {
      [GROUP]: {
        prefer: ids,
        takeover: plan.takeover,
        ...(plan.takeover === 'preempt' ? { confirm: plan.confirm } : {}),
        resources,
      },
    },
  });
  const { config } = parseConfigOrThrow(text, '/simulated/understudy.config.yaml');
  const { timing } = config;
  if (!plan.tightW) return config;
  const takeoverWaitMs = Math.ceil(
    Math.max(clockOnlyWait(timing), plan.watchdog ? sleepingGuardWait(timing) : 0, plan.strict ? manyPausesWait(timing) : 0),
  );
  return { ...config, timing: { ...timing, takeoverWaitMs } };
};
