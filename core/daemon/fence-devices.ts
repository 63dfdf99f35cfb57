// The fence devices of the config, opened from the registry when first needed. A device whose plugin cannot be loaded is a
// device that fails, with its reason; it keeps nothing else from working.
import type { ClusterConfig, FenceDeviceConfig } from '../config/cluster-config.js';
import type { NodeId } from '../model/ids.js';
import type { FenceContext, FenceDevice, Log } from '../plugin/contract.js';
import type { Registry } from '../plugin/registry.js';
import type { Fence, FenceHandle } from '../scheduler/ports.js';
import type { Clock } from '../system/clock.js';
import type { Exec } from '../system/exec.js';

export interface FenceSurroundings {
  readonly config: ClusterConfig;
  readonly node: NodeId;
  readonly registry: Pick<Registry, 'fence' | 'openFence'>;
  readonly exec: Exec;
  readonly clock: Clock;
  readonly log: (component: string) => Log;
}

/** Of one attempt, where neither the config nor the fence says. */
const LIMIT_MS = 120_000;

export const fenceDevices = (around: FenceSurroundings): Fence => ({
  levels: around.config.fencing.levels.map((level) => level.map((device) => handleOf(device, around))),
});

const handleOf = (device: FenceDeviceConfig, { config, node, registry, exec, clock, log }: FenceSurroundings): FenceHandle => {
  const name = device.nodes === null ? device.use : `${device.use} (${device.nodes.join(', ')})`;
  const context: Omit<FenceContext, 'service'> = {
    cluster: config.cluster,
    node,
    nodes: config.nodes.map(({ id, zone, networks }) => ({ id, zone, serviceAddress: networks.service })),
    log: log(`fence-${device.use}`),
    run: (file, args, options) => exec.run(file, args, options),
    clock,
  };
  let opening: Promise<{ readonly device: FenceDevice; readonly limitMs: number }> | null = null;
  const open = async () => {
    const limitMs = device.limitMs ?? (await registry.fence(device.use))?.limitMs ?? LIMIT_MS;
    return { device: await registry.openFence(device.use, device.options, context), limitMs };
  };
  return {
    name,
    nodes: device.nodes,
    open: () => {
      opening ??= open().catch((error: unknown) => {
        // Not kept: what it needs may come later.
        opening = null;
        throw error;
      });
      return opening;
    },
    close: async () => {
      const opened = await opening?.catch(() => null);
      await opened?.device.close();
    },
  };
};
