// The door to the peer's mirror process. One logical connection over the first path that works (mirror network, then
// heartbeat); frames arrive whole, in order, checked, once, or the connection ends. What they mean is the engine's.
import type { Frame } from './frames.js';

export interface PeerLink {
  /** Queues a frame; false when there is no connection (then it is dropped, and `onDown` has been or will be called). */
  send(frame: Frame): boolean;
  /** Bytes queued and not yet taken by the kernel: the engine's measure for holding back a resync. */
  queuedBytes(): number;
  /** Ends the connection on purpose; it is made again with backoff unless `forGood`. */
  drop(because: string, forGood?: boolean): void;
  /** Which network carries it now, null while down. */
  path(): string | null;
  close(): Promise<void>;
}

export interface PeerLinkListener {
  /** A new connection is authenticated; nothing was sent over it. `generation` grows with each and names it. */
  up(generation: number, path: string): void;
  /** It ended. What was sent and not answered may or may not have arrived. */
  down(generation: number, because: string): void;
  /** `payload` of the frame is valid until this returns unless `keep` was called on it: copies are the listener's business. */
  frame(generation: number, frame: Frame): void;
}
