// What a pair's test and its two mirror processes say to each other over IPC, and what both know of the pair.
import type { InSyncAnswer } from 'understudy/plugin';

export const CLUSTER = 'pair';
export const GROUP = 'db';
export const RESOURCE = 'data';

export interface HostPlan {
  readonly node: string;
  readonly peer: string;
  readonly bootId: string;
  readonly address: string;
  readonly peerAddress: string;
  readonly port: number;
  /** Its run, state and log directories lie there. */
  readonly directory: string;
  /** Of the resource, as in the config. */
  readonly options: Readonly<Record<string, unknown>>;
}

export type FromHost =
  | { readonly t: 'ready' }
  | {
      readonly t: 'in-sync';
      readonly id: number;
      readonly change: 'add' | 'remove';
      readonly peer: string;
      readonly bootId: string | null;
      readonly epoch: number;
    }
  | { readonly t: 'higher-epoch'; readonly epoch: number; readonly because: string }
  | { readonly t: 'journal'; readonly kind: string; readonly because: string }
  | { readonly t: 'alarm'; readonly subject: string; readonly sentence: string | null }
  | { readonly t: 'log'; readonly line: string };

export interface ToHost {
  readonly id: number;
  readonly answer: InSyncAnswer;
}
