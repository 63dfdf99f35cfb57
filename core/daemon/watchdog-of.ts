// The watchdog that the config names, with its way to the system, and what it says about this boot. Part of the guard's start:
// imports nothing heavy.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atNode } from '../config/identity.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import { noWatchdog, type Watchdog } from '../guard/watchdog.js';
import { deviceWatchdog } from '../guard/watchdog-device.js';
import { socketWatchdog } from '../guard/watchdog-socket.js';
import type { Journal } from '../journal/journal.js';
import type { BootId, NodeId } from '../model/ids.js';
import type { Clock } from '../system/clock.js';
import type { Exec } from '../system/exec.js';
import { systemWatchdogDoor, type WatchdogDoor } from '../system/watchdog-door.js';

export interface ConfiguredWatchdog {
  readonly watchdog: Watchdog;
  /** Only of a device of the kernel. */
  readonly door: WatchdogDoor | null;
}

export const watchdogOf = (
  { watchdog, timing }: Pick<ClusterConfig, 'watchdog' | 'timing'>,
  node: NodeId,
  { clock, exec }: { readonly clock: Clock; readonly exec: Exec },
): ConfiguredWatchdog => {
  if (watchdog.driver === 'none') return { watchdog: noWatchdog, door: null };
  const path = atNode(watchdog.path, node);
  if (watchdog.driver === 'socket') return { watchdog: socketWatchdog({ path, clock, timeoutMs: timing.petMaxAgeMs }), door: null };
  const door = systemWatchdogDoor({ path, exec });
  return { watchdog: deviceWatchdog({ door, clock }), door };
};

/** Says once in a boot that it follows a reset by the watchdog. A device that cannot be asked is no trouble here: arming says it. */
export const tellWatchdogReset = (door: WatchdogDoor | null, runDirectory: string, bootId: BootId, journal: Journal): void => {
  if (door === null) return;
  const told = join(runDirectory, `watchdog-reset.${bootId}`);
  if (existsSync(told) || !resetLast(door)) return;
  writeFileSync(told, '', { mode: 0o600 });
  journal.write({
    kind: 'watchdog.reset-before',
    because: `the watchdog ${door.path} had reset this host: this boot follows it`,
    data: { path: door.path },
  });
};

const resetLast = (door: WatchdogDoor): boolean => {
  try {
    return door.facts().resetLast === true;
  } catch {
    // No device, or none that tells: nothing is known of the boot before.
    return false;
  }
};
