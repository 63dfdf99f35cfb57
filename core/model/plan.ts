// What to do: ordered actions, each with its reason, and the wills for the guard.
import type { GroupId, ResourceId } from './ids.js';
import type { Will } from './lease.js';
import type { HookPoint } from './desired.js';

export type ActionKind = 'probe' | 'start' | 'stop' | 'promote' | 'demote' | 'fence' | 'hook' | 'orders';

/** One step. `id` is stable from plan to plan while the reason for it lasts, so that nothing is begun twice. */
export interface Action {
  readonly id: string;
  readonly kind: ActionKind;
  readonly group: GroupId;
  /** Set for resource actions. */
  readonly resource: ResourceId | null;
  /** Set for `hook`: the group-level point to run. */
  readonly hook: HookPoint | null;
  /** Set for `fence`: whom. */
  readonly node: string | null;
  /** Set for `orders`: what to change in the group's orders record. */
  readonly orders: OrdersChange | null;
  /** Ids of actions of this plan that must be done first. An action with none may begin now. */
  readonly after: readonly string[];
  /** Which rule wanted it: an id of core/planner/rules. */
  readonly rule: string;
  readonly because: string;
}

/**
 * `failover-noted`: an unplanned failover counts from now on, and a move to this node is removed. The new holder notes the
 * loss of the old one; a holder that gives the group away because of a fault notes that itself (`from` is then itself, `to`
 * whom it names, itself when it gave up). `epoch` is the one the failover leads to. `move-done`: removes a move.
 */
export type OrdersChange =
  | {
      readonly kind: 'failover-noted';
      readonly from: string | null;
      readonly to?: string;
      readonly epoch: number;
      readonly because: string;
    }
  | { readonly kind: 'move-done'; readonly id: string };

/** How a group looks to people; computed by the planner from the facts, never stored. */
export type GroupState = 'online' | 'offline' | 'starting' | 'stopping' | 'partial' | 'faulted' | 'blocked' | 'maintenance';

export interface GroupVerdict {
  readonly group: GroupId;
  readonly state: GroupState;
  /** The rule that matched first, and its sentence. */
  readonly rule: string;
  readonly because: string;
  /** What an operator types next when the state is bad, else null. */
  readonly nextCommand: string | null;
}

export interface Plan {
  readonly actions: readonly Action[];
  /** Exactly one for each group. */
  readonly wills: readonly Will[];
  readonly verdicts: readonly GroupVerdict[];
}
