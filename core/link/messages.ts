// What controllers say to each other. Advice only: who is ready, what was ordered. Safety never depends on it.
import type { BootId, ClusterId, GroupId, NodeId } from '../model/ids.js';
import { isMirrorStatus } from '../model/mirror.js';
import { type PeerGroupReport, RESOURCE_STATES } from '../model/observed.js';
import type { OrdersRequest } from '../guard/protocol.js';
import { isRecord } from '../config/problem.js';
import { ordersRequest } from '../guard/read-message.js';

/** How one controller sees its own node. */
export interface NodeReport {
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly cfgHash: string;
  readonly groups: Readonly<Record<GroupId, PeerGroupReport>>;
}

export type LinkMessage =
  | { readonly t: 'hello'; readonly v: 1; readonly cluster: ClusterId; readonly node: NodeId }
  | { readonly t: 'report'; readonly report: NodeReport }
  /** An order that the sender's own guard could not record. At most once: an id that was seen is answered again, not done again. */
  | { readonly t: 'order'; readonly id: string; readonly request: OrdersRequest }
  /** A planned move is coming: is that node ready at this moment? */
  | { readonly t: 'prepare'; readonly id: string; readonly group: GroupId }
  | { readonly t: 'answer'; readonly id: string; readonly ok: boolean; readonly value: unknown };

/** What a node answers to `prepare`. */
export interface Prepared {
  readonly blockers: readonly string[];
}

/** The message, or null for anything else: a peer of another version must not bring this one down. */
export const linkMessage = (value: unknown): LinkMessage | null => {
  if (!isRecord(value)) return null;
  const text = (...keys: string[]) => keys.every((key) => typeof value[key] === 'string');
  switch (value['t']) {
    case 'hello':
      return value['v'] === 1 && text('cluster', 'node') ? (value as LinkMessage) : null;
    case 'report':
      return isReport(value['report']) ? (value as LinkMessage) : null;
    case 'order':
      return text('id') && ordersRequest(value['request']) !== null ? (value as LinkMessage) : null;
    case 'prepare':
      return text('id', 'group') ? (value as LinkMessage) : null;
    case 'answer':
      return text('id') && typeof value['ok'] === 'boolean' ? (value as LinkMessage) : null;
    default:
      return null;
  }
};

const isReport = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value['node'] === 'string' &&
  typeof value['bootId'] === 'string' &&
  typeof value['cfgHash'] === 'string' &&
  isRecord(value['groups']) &&
  Object.values(value['groups']).every(
    (group) =>
      isRecord(group) &&
      isRecord(group['resources']) &&
      Object.values(group['resources']).every(isResource) &&
      Array.isArray(group['blockers']) &&
      group['blockers'].every((blocker) => typeof blocker === 'string'),
  );

const isResource = (value: unknown): boolean =>
  isRecord(value) &&
  RESOURCE_STATES.some((state) => state === value['state']) &&
  typeof value['reason'] === 'string' &&
  (value['mirror'] === undefined || isMirrorStatus(value['mirror']));
