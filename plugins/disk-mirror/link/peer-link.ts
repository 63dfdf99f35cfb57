// The door to the peer's mirror process. One logical connection over the first path that works (mirror network, then
// heartbeat); frames arrive whole, in order, checked, once, or the connection ends. What they mean is the engine's, and so is
// their epoch: the link's own words (who I am, ping, pong) are said under epoch 0 and never reach the listener.
import type { Frame } from './frames.js';

export interface PeerLink {
  /**
   * Queues a frame; false when there is no connection (then it is dropped, and `down` has been or will be called). What this turn
   * sends goes out together. A payload that `lasts` (the default) stays as it is until `queuedBytes` has fallen below it; one
   * that does not is copied before this returns.
   */
  send(frame: Frame, lasts?: boolean): boolean;
  /** Bytes queued and not yet taken by the kernel: the engine's measure for holding back a resync. Above its bound the link ends. */
  queuedBytes(): number;
  /**
   * Ends the connection on purpose; `down` comes after this returned. It is made again with backoff. `forGood`: this side does
   * not dial before `reconnect` or its next start, but still answers when the peer does.
   */
  drop(because: string, forGood?: boolean): void;
  /** Dials now, also after a drop `forGood`. */
  reconnect(): void;
  /** Nobody refers to the payload of a frame any more: its memory may be used again. May be left out; then it is only slower. */
  recycle(payload: Uint8Array): void;
  /** Which network carries it now, null while down. */
  path(): string | null;
  /** Of the last ping, null before the first. */
  rttMs(): number | null;
  close(): Promise<void>;
}

export interface PeerLinkListener {
  /** A new connection is authenticated; nothing was sent over it. `generation` grows with each and names it. */
  up(generation: number, path: string): void;
  /** It ended. What was sent and not answered may or may not have arrived. Comes before the `up` of the next. */
  down(generation: number, because: string): void;
  /** The payload is the listener's: nobody writes to it again, unless it is given back by `recycle`. */
  frame(generation: number, frame: Frame): void;
}
