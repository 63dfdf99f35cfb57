// I-9: a fence is asked for by the winner of a newer epoch, against an earlier winner and the boot that won it. From the history of
// the store alone.
import type { NodeId } from '../model/ids.js';
import type { SimNode } from './sim-node.js';
import type { World } from './world.js';

/** Who won an epoch, by a write that happened. */
export interface Winner {
  readonly node: NodeId;
  readonly bootId: string;
  readonly atMs: number;
}

export interface FenceTarget {
  readonly node: NodeId;
  readonly bootId: string;
  readonly epoch: number;
}

export interface FenceAsked {
  readonly world: World;
  /** Who asks. */
  readonly node: SimNode;
  readonly target: FenceTarget;
  /** By epoch. */
  readonly winners: ReadonlyMap<number, Winner>;
}

export const judgeFence = ({ world, node, target, winners }: FenceAsked): void => {
  const victim = winners.get(target.epoch);
  const newer = [...winners].some(([epoch, winner]) => epoch > target.epoch && winner.node === node.id && winner.bootId === node.bootId);
  const words = `${node.id} fences ${target.node} (${target.bootId}) for epoch ${target.epoch}`;
  if (target.node === node.id) world.violate('I-9', words);
  else if (!newer) world.violate('I-9', `${words} and never won a newer one in this boot`);
  else if (victim === undefined || victim.node !== target.node || victim.bootId !== target.bootId)
    world.violate('I-9', `${words}, which ${victim === undefined ? 'nobody' : `${victim.node} (${victim.bootId})`} won`);
};
