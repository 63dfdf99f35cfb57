// What is promised of two nodes at once (SAFETY a.1): without a watchdog and a fence that is waited for, nothing for the time in
// which nobody was scheduled on the old holder who could have stopped its group.
import type { Timing } from '../model/timing.js';
import type { SimNode } from './sim-node.js';
import type { World } from './world.js';

export interface PromisedIn {
  readonly world: World;
  readonly timing: Timing;
  readonly watchdog: boolean;
  readonly fencing: 'required' | 'watchdog' | 'none';
}

export const isPromised = ({ watchdog, timing, fencing, world }: PromisedIn, old: SimNode): boolean => {
  if (watchdog || fencing === 'required') return true;
  const slackMs = timing.takeoverWaitMs - timing.selfFenceMs - timing.stopBudgetMs;
  const sinceMs = world.nowMs - 2 * timing.takeoverWaitMs - 60_000;
  const off = (name: string) => old.longestOffMs(name, sinceMs) > slackMs - 200;
  return !(off('guard') && off('leash'));
};
