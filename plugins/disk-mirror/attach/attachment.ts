// How applications reach a volume while this node is primary: a block device in front of the NBD service, or the service
// itself. One file for each way. Invariants: attaching twice is attaching once; what says detached has proven it; nothing is
// looked for by name alone, but by the socket it was made for.
import type { Cgroups, Clock, Exec } from 'understudy/plugin';

export interface AttachPlace {
  /** Where the volume is served as NBD. */
  readonly socket: string;
  readonly exportName: string;
  /** A link that leads to whatever was attached: the same path on every node and after every move. */
  readonly link: string;
  /** For this attachment's own files; may be missing before the first attach. */
  readonly runDir: string;
  /** Of the resource, for processes that carry the device; null where there are none. */
  readonly cgroup: string | null;
  readonly logFile: string;
  readonly environment: Readonly<Record<string, string>>;
}

export type AttachState =
  | { readonly state: 'attached'; readonly device: string }
  | { readonly state: 'detached' }
  /** Half there: it must be detached before it can be used. */
  | { readonly state: 'broken'; readonly because: string };

export interface AttachTools {
  readonly exec: Exec;
  readonly clock: Clock;
  readonly cgroups: Cgroups;
}

export interface Attachment {
  /** Resolves with the device when it can be opened. Rejects with AGENT_FAILED or TIMED_OUT; then nothing is left. */
  attach(place: AttachPlace, limitMs: number, signal: AbortSignal): Promise<string>;
  /** Resolves when nothing is left, whatever was there. Rejects with who still uses it. */
  detach(place: AttachPlace, limitMs: number, signal: AbortSignal): Promise<void>;
  /** Changes nothing. */
  look(place: AttachPlace, signal: AbortSignal): Promise<AttachState>;
}
