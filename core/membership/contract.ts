// What heartbeats carry, and what the guard asks of the membership room. Heartbeats give suspicion, and carry statements;
// they never give a right by themselves (SAFETY, head).
import type { BootId, Epoch, GroupId, NetworkId, NodeId } from '../model/ids.js';
import type { LeasePhase, PeerView } from '../model/lease.js';

/** One group in a heartbeat: what the sender's guard is to it. */
export interface BeatGroup {
  readonly group: GroupId;
  readonly epoch: Epoch;
  /** seq and store version of the record the sender last wrote or read. */
  readonly seq: number;
  readonly version: string;
  readonly phase: LeasePhase;
  /** Every trace of `epoch` on the sender is stopped and verified, and that epoch is dead there for ever: STOPPED(e). */
  readonly stopped: boolean;
  /** The sender holds it and has not heard its controller for too long, nor has that one left on purpose. */
  readonly unattended?: true;
}

export type Message =
  /** With very many groups a beat comes in parts, each a message with some of them; `peers()` has them all. */
  | { readonly kind: 'beat'; readonly cfgHash: string; readonly groups: readonly BeatGroup[] }
  /** A planned release was just written: read the record now. Sent three times, 20 ms apart. */
  | { readonly kind: 'nudge'; readonly group: GroupId; readonly epoch: Epoch }
  /** Asks the holder's guard to stop the group and say STOPPED(e). */
  | { readonly kind: 'please-stop'; readonly group: GroupId; readonly epoch: Epoch }
  /** Failsafe (SAFETY a.8): the holder of `epoch` has lost the arbiter and asks for a promise. `waitMs`: the W of its record. */
  | { readonly kind: 'ask'; readonly group: GroupId; readonly epoch: Epoch; readonly round: number; readonly waitMs: number }
  /** The sender promises not to acquire for W. `sees`: it reads the lease record itself. */
  | { readonly kind: 'grant'; readonly group: GroupId; readonly epoch: Epoch; readonly round: number; readonly sees: boolean }
  /** No promise. `knows`: the highest epoch the sender has heard of. */
  | {
      readonly kind: 'refuse';
      readonly group: GroupId;
      readonly epoch: Epoch;
      readonly round: number;
      readonly knows: Epoch;
      readonly because: string;
    }
  /** Without a store: an orders record of the sender (`key` without the cluster's prefix), with the stamp that says which is newer. */
  | { readonly kind: 'copy'; readonly key: string; readonly count: number; readonly node: NodeId; readonly value: string };

/** An authentic, fresh message. What is sent comes once over each network: listeners are idempotent. */
export interface Received {
  readonly from: NodeId;
  readonly bootId: BootId;
  readonly network: NetworkId;
  readonly message: Message;
  /** Monotonic time at which it was read from the socket. */
  readonly atMs: number;
}

export type MembershipChange =
  | {
      readonly kind: 'link';
      readonly peer: NodeId;
      readonly network: NetworkId;
      readonly state: 'up' | 'down' | 'unknown';
      readonly because: string;
    }
  | {
      readonly kind: 'peer';
      readonly peer: NodeId;
      readonly state: PeerView['state'];
      readonly lastHeardMs: number | null;
      readonly because: string;
      /** It was in jeopardy when it fell silent. */
      readonly jeopardy?: boolean;
    }
  /** Of two networks or more only one is left to the peer, or no longer. */
  | { readonly kind: 'jeopardy'; readonly peer: NodeId; readonly network: NetworkId; readonly began: boolean; readonly because: string }
  /** A link is so bad that suspicion without cause is near, or no longer. Figures are of the last window. */
  | {
      readonly kind: 'quality';
      readonly peer: NodeId;
      readonly network: NetworkId;
      readonly began: boolean;
      readonly lossRatio: number;
      readonly rttMs: number | null;
      readonly because: string;
    }
  /** The peer came back with another boot. */
  | { readonly kind: 'boot'; readonly peer: NodeId; readonly from: BootId | null; readonly to: BootId };

export interface Heartbeats {
  /** Binds the sockets and begins to send and listen. Rejects when an own address cannot be bound. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Asked before each beat. */
  describe(source: () => { cfgHash: string; groups: readonly BeatGroup[] }): void;
  /** Sends at once over all networks, in addition to the periodic beat. */
  send(to: NodeId | 'all', message: Message): void;
  /** A beat now, out of turn: after every change of phase. */
  beatNow(): void;
  onReceived(listener: (received: Received) => void): void;
  onChange(listener: (change: MembershipChange) => void): void;
  peers(): readonly PeerView[];
  /** Grows with every change of what `peers()` says, but for ages and round trips. */
  readonly revision: number;
  /** Heard without a gap of suspectAfter for so long before the present silence, counted for one boot (SAFETY a.7b, steady); 0 when never. */
  steadyBeforeSilenceMs(peer: NodeId): number;
  /** Frames dropped so far by reason (bad tag, replay, unknown boot, wrong cluster, too long), for status. */
  dropped(): Readonly<Record<string, number>>;
}
