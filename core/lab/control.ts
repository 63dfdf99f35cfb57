// What is said on a lab's control socket: one JSON object a line. The client asks, the lab answers with the same id; a probe
// answers with many lines before its last.
import type { FromProbe, ProbePlan } from './probe-process.js';
import type { LabStatus } from './lab.js';
import type { Finished } from './lab-process.js';

export type LabRequest =
  | { readonly op: 'status' }
  | { readonly op: 'state' }
  | { readonly op: 'fault'; readonly words: readonly string[] }
  | { readonly op: 'exec'; readonly node: string; readonly argv: readonly string[]; readonly timeoutMs: number }
  | { readonly op: 'probe'; readonly plan: Omit<ProbePlan, 'address'> }
  /** Ends every probe that this connection began. */
  | { readonly op: 'end-probe' }
  | { readonly op: 'down' };

export interface LabAnswers {
  readonly status: LabStatus;
  readonly state: unknown;
  readonly fault: string;
  readonly exec: Finished;
  readonly probe: FromProbe;
  readonly 'end-probe': null;
  readonly down: null;
}

export type LabLine =
  | { readonly id: number; readonly part: unknown }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string; readonly hint: string } };

/** From the lab's daemon to whoever started it, until it is up. */
export type FromDaemon =
  | { readonly t: 'step'; readonly text: string }
  | { readonly t: 'up' }
  | { readonly t: 'failed'; readonly error: { readonly code: string; readonly message: string; readonly hint: string } };
