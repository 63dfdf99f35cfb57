// I-7, the part that looks at who asks for the lease: its controller was heard just now, and it preempts nobody that it has not
// heard hold steadily. From the history of the hosts and the store alone.
import type { NodeId } from '../model/ids.js';
import type { Timing } from '../model/timing.js';
import { WILL_MAX_AGE_MS } from '../ownership/timing.js';
import type { SimNode } from './sim-node.js';
import type { World } from './world.js';

export interface Acquisition {
  readonly world: World;
  readonly timing: Timing;
  readonly node: SimNode;
  readonly epoch: number;
  /** Whose epoch is preempted, and since when it held; null when it is no preemption, or the store has forgotten. */
  readonly preempts: { readonly node: NodeId; readonly atMs: number } | null;
}

/** From a controller's word to its guard's ear, at the rates of their clock. */
const WILL_SLACK_MS = 500;

export const judgeAcquisition = ({ world, timing, node, epoch, preempts }: Acquisition): void => {
  const sinceMs = world.nowMs - WILL_MAX_AGE_MS - WILL_SLACK_MS;
  const off = (name: string) => node.longestOffMs(name, sinceMs);
  if (off('controller') >= world.nowMs - sinceMs && off('guard') < WILL_SLACK_MS / 10)
    world.violate('I-7', `${node.id} asks for epoch ${epoch} for a controller that did not run for ${WILL_MAX_AGE_MS + WILL_SLACK_MS} ms`);
  if (preempts === null) return;
  const heldMs = world.nowMs - preempts.atMs;
  if (heldMs < 0.97 * timing.steadyMs)
    world.violate(
      'I-7',
      `${node.id} preempts epoch ${epoch - 1} ${Math.round(heldMs)} ms after ${preempts.node} won it: it cannot have been heard steadily for ${timing.steadyMs} ms`,
    );
};
