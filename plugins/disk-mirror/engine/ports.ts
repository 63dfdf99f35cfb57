// The engine's doors (SAFETY b.2). The engine decides: which step may follow which, what is answered when, what is suspended.
// It has no clock, file, socket or log: time comes with `tick`, everything else through these ports. Payload bytes pass by
// reference and are looked at by ports only. Invariant W2 in one sentence: a write is answered only when every copy that the lease
// record calls in sync has it, this copy has it, and the lease is held at that moment.
import type { BlockFile } from '../io/block-file.js';
import type { Frame } from '../link/frames.js';
import type { Attached, MetadataStore } from '../metadata/contract.js';
import type { CopyState, Generation, Mode } from '../words.js';

/** What the lease page says at this moment (SAFETY a.2). Asked before every answer to the application. */
export interface LeaseNow {
  /** `held`: may answer. `suspended`: expired or unreadable, hold everything. `over`: STOPPING, RELEASED, DEAD or another epoch: end with errors. */
  readonly state: 'held' | 'suspended' | 'over';
  readonly epoch: number;
  /** Whether the record calls the peer in sync. */
  readonly peerInSync: boolean;
  readonly selfInSync: boolean;
}

export type InSyncAnswer =
  | { readonly kind: 'ok'; readonly seq: number }
  | { readonly kind: 'refused' | 'unknown'; readonly because: string };

export interface EnginePorts {
  readonly data: BlockFile;
  readonly metadata: MetadataStore;
  /** To the peer; false when there is no connection. */
  send(frame: Frame): boolean;
  /** The same of a payload that lasts only until this returns. */
  sendBrief(frame: Frame): boolean;
  /** Bytes on their way to the peer that the kernel has not taken yet. */
  queuedBytes(): number;
  /** Bytes of a frame that are needed after `frame` returned. The same array where nobody uses it again, else a copy. */
  keep(bytes: Uint8Array): Uint8Array;
  /** Nobody refers to these bytes any more, which a frame brought: the link reads into their memory again. */
  recycle(bytes: Uint8Array): void;
  /** A chunk's hash (checksum resync, verify); answers not before it returns, or at once. Both sides must use the same. */
  hash(bytes: Uint8Array, done: (hash: Uint8Array) => void): void;
  /** Whether these bytes are all zero: a resync says so instead of sending them. */
  allZero(bytes: Uint8Array, from: number, to: number): boolean;
  /** Ends the connection; it is made again. `forGood`: this side does not dial before `reconnect` or its next start (SPLIT); it still answers when the peer dials. */
  dropLink(because: string, forGood?: boolean): void;
  /** An operator resolved what stood between the copies: the link may be made again, now. */
  reconnect(): void;
  lease(): LeaseNow;
  /**
   * Asks the guard to change the record (SAFETY a.11), one at a time. `bootId`: of the peer that is meant; an entry of another boot
   * is replaced by `add`.
   */
  inSync(change: 'add' | 'remove', generation: Generation, answer: (answer: InSyncAnswer) => void, bootId: string): void;
  /** A newer epoch exists: this node must give up at once. */
  fenceSelf(epoch: number, because: string): void;
  /** 32 random bits for a generation. */
  random(): number;
  /** For the journal and people: `mirror.*` events with the reason. */
  tell(event: { readonly kind: string; readonly because: string; readonly data?: Readonly<Record<string, unknown>> }): void;
}

/** What the engine is made of: the ports, and what attaching the metadata found. `node`, `peer`, `bootId`, `mode` must fit the superblock. */
export interface EngineParts {
  readonly ports: EnginePorts;
  readonly options: EngineOptions;
  readonly attached: Attached;
}

export interface EngineOptions {
  readonly node: string;
  readonly peer: string;
  readonly bootId: string;
  readonly mode: Mode;
  /** Sync: `remote-first` writes here only when the peer has it (the copy here never has what the peer lacks); `parallel` both at once. */
  readonly order: 'remote-first' | 'parallel';
  /** A write that the peer has not answered for so long ends the connection. */
  readonly peerTimeoutMs: number;
  readonly async: { readonly maxLagBytes: number; readonly maxLagMs: number; readonly full: 'throttle' | 'behind' };
  readonly resync: { readonly minBytesPerSecond: number; readonly maxBytesPerSecond: number; readonly targetLatencyMs: number };
  /**
   * Sent and not applied there, where being sent (target of a resync) or received (semi-sync) is enough for an answer: with more
   * than this a write is answered when it is applied.
   */
  readonly targetLagBytes: number;
  /** The bits of what nobody flushes are cleared by a flush of our own so often. */
  readonly flushEveryMs: number;
}

/** What the application may want, as the NBD server hands it on. `done(null)` = answered. */
export type RequestDone = (error: 'EIO' | 'ESHUTDOWN' | 'EINVAL' | 'ENOTSUP' | 'ENOSPC' | null) => void;

/** What `status`, the agent's monitor and the simulation's oracle see. */
export interface EngineView {
  readonly role: 'primary' | 'secondary';
  readonly disk: string;
  readonly peerDisk: string;
  readonly connection: 'down' | 'handshake' | 'connected' | 'split' | 'refused';
  readonly because: string;
  readonly serving: boolean;
  /** Why answers are held back, null = they are not. */
  readonly suspended: string | null;
  readonly dirtyChunks: number;
  readonly dirtyBytes: number;
  /** Async: answered and not yet at the peer. */
  readonly lagBytes: number;
  readonly lagMs: number;
  readonly resync: {
    readonly kind: string;
    readonly direction: 'source' | 'target';
    readonly doneBytes: number;
    readonly ofBytes: number;
    readonly etaMs: number | null;
    readonly paused: boolean;
  } | null;
  readonly current: Generation;
  readonly epoch: number;
}

/** What both say of themselves. `now`: true = just now, or connected; else why the peer could not be heard. */
export interface Meeting {
  readonly mine: CopyState;
  readonly peer: CopyState | null;
  readonly now: true | string;
}

export interface Engine {
  // --- the application; only while `serving`
  read(into: Uint8Array, offset: number, done: RequestDone): void;
  write(bytes: Uint8Array, offset: number, fua: boolean, done: RequestDone): void;
  zero(offset: number, length: number, mayPunch: boolean, fua: boolean, done: RequestDone): void;
  trim(offset: number, length: number, fua: boolean, done: RequestDone): void;
  flush(done: RequestDone): void;
  // --- the peer
  linkUp(generation: number): void;
  linkDown(generation: number, because: string): void;
  frame(generation: number, frame: Frame): void;
  // --- standing
  /** Called at least every 100 ms, and at once when the lease page changed. `nowMs` is monotonic. */
  tick(nowMs: number): void;
  /** To serve under this epoch: answers when NBD may be opened (settled, superblock durable), or why not. */
  promote(epoch: number, options: { readonly force: boolean }, answer: (refused: string | null) => void): void;
  /** Nobody uses the device any more: everything flushed, bits on disk, role secondary, clean. */
  demote(answer: (refused: string | null) => void): void;
  /** SAFETY a.6 `freeze`: every request ends with an error from now on, those that wait too. */
  freeze(because: string): void;
  // --- the operator
  pause(): void;
  resume(): void;
  resync(kind: 'full' | 'checksum', answer: (refused: string | null) => void): void;
  verify(options: { readonly repair: boolean }, answer: (refused: string | null) => void): void;
  /** SPLIT: this copy gives up its own changes since the common generation. */
  resolveAsVictim(answer: (refused: string | null) => void): void;
  /** Both copies as they would meet; nothing is begun by it. Where they stay apart they are connected for one hello. */
  look(answer: (met: Meeting) => void): void;
  view(): EngineView;
}
