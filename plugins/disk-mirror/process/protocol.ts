// What is said on a volume’s control socket: framed JSON, one answer for each order, by its number. A `watch` is answered like
// any order and from then on followed by views as they change. Root only; who speaks is the agent or an operator’s command.
import type { EngineView } from '../engine/ports.js';
import type { CopyState } from '../words.js';

export type Order =
  | { readonly do: 'view' }
  | { readonly do: 'watch' }
  /** Open the service under this epoch. The process believes the lease page, not this word (SAFETY a.11). */
  | { readonly do: 'promote'; readonly epoch: number; readonly force: boolean }
  | { readonly do: 'demote' }
  /** A device of the kernel's NBD driver in front of the service (`attach: nbd`); answered with its path. */
  | { readonly do: 'attach' }
  | { readonly do: 'detach' }
  | { readonly do: 'freeze'; readonly because: string }
  | { readonly do: 'pause' }
  | { readonly do: 'resume' }
  | { readonly do: 'resync'; readonly kind: 'full' | 'checksum' }
  | { readonly do: 'verify'; readonly repair: boolean }
  /** SPLIT: this node’s copy gives up its own changes. */
  | { readonly do: 'resolve' }
  /** What both copies say of themselves; where they stay apart they say hello for it, and act on nothing. */
  | { readonly do: 'look' }
  /** What may differ from the peer's copy, from this byte on, as much as one answer holds. */
  | { readonly do: 'dirty'; readonly from: number };

export type OrderName = Order['do'];

export type ToVolume = Order & { readonly id: number };

/** What a volume’s process shows: the engine’s view and what belongs to this host. */
export interface VolumeView extends EngineView {
  readonly node: string;
  readonly peer: string;
  readonly mode: string;
  readonly pid: number;
  readonly sizeBytes: number;
  /** Bytes of one bit of the bitmap. */
  readonly chunkBytes: number;
  /** The volume's, the same on both copies: what `create` wants where one is made anew. Null = this copy cannot be opened. */
  readonly volumeUuid: string | null;
  /** Over which network the peer is reached, null = it is not. */
  readonly path: string | null;
  /** The kernel's device that is set up for it, connected or waiting; null = none. */
  readonly kernelDevice: string | null;
  /** An NBD client is connected. */
  readonly client: boolean;
  /** Begun, and ended with equal copies, since this process began. */
  readonly resyncs: { readonly begun: number; readonly ended: number };
  /** What wants a person. */
  readonly alarms: readonly string[];
}

/** The answer to `look`. */
export interface BothCopies {
  readonly mine: CopyState;
  /** As it said of itself when it was met last; null = it never was since this process began. */
  readonly peer: CopyState | null;
  /** Whether the peer was heard just now, or is connected; else why not. */
  readonly peerNow: true | string;
  readonly chunkBytes: number;
}

/** The answer to `dirty`: offset and length of each run; `next`: where to ask on, null = that was all. */
export interface DirtyPart {
  readonly runs: readonly (readonly [offset: number, length: number])[];
  readonly next: number | null;
}

export type FromVolume =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly because: string }
  | { readonly t: 'view'; readonly view: VolumeView };

const ORDERS: Readonly<Record<OrderName, (order: Readonly<Record<string, unknown>>) => Order | null>> = {
  view: () => ({ do: 'view' }),
  watch: () => ({ do: 'watch' }),
  promote: ({ epoch, force }) =>
    Number.isSafeInteger(epoch) && (epoch as number) > 0 && typeof force === 'boolean'
      ? { do: 'promote', epoch: epoch as number, force }
      : null,
  demote: () => ({ do: 'demote' }),
  attach: () => ({ do: 'attach' }),
  detach: () => ({ do: 'detach' }),
  freeze: ({ because }) => (typeof because === 'string' ? { do: 'freeze', because } : null),
  pause: () => ({ do: 'pause' }),
  resume: () => ({ do: 'resume' }),
  resync: ({ kind }) => (kind === 'full' || kind === 'checksum' ? { do: 'resync', kind } : null),
  verify: ({ repair }) => (typeof repair === 'boolean' ? { do: 'verify', repair } : null),
  resolve: () => ({ do: 'resolve' }),
  look: () => ({ do: 'look' }),
  dirty: ({ from }) => (Number.isSafeInteger(from) && (from as number) >= 0 ? { do: 'dirty', from: from as number } : null),
};

/** An order as it came; null when it is none. */
export const readOrder = (message: unknown): ToVolume | null => {
  if (typeof message !== 'object' || message === null) return null;
  const fields = message as Readonly<Record<string, unknown>>;
  const { id, do: name } = fields;
  if (!Number.isSafeInteger(id) || typeof name !== 'string' || !Object.hasOwn(ORDERS, name)) return null;
  const order = ORDERS[name as OrderName](fields);
  return order === null ? null : { ...order, id: id as number };
};
