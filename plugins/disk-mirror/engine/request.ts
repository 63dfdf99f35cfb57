// One request of the application on its way. Pooled: a write makes no garbage but its frame. The callbacks into it are made once
// a pooled object, not once a request.
import type { Interval } from './interval-locks.js';
import type { RequestDone } from './ports.js';

export type RequestKind = 'read' | 'write' | 'zero' | 'trim' | 'flush';
type Answer = Parameters<RequestDone>[0];

const NOTHING = new Uint8Array(0);
const NOBODY: RequestDone = () => undefined;

export class Request implements Interval {
  kind: RequestKind = 'write';
  begin = 0;
  end = 0;
  slot = -1;
  bytes: Uint8Array = NOTHING;
  fua = false;
  mayPunch = false;
  /** Counts all requests: what came before a moment is told by it. */
  serial = 0;
  /** The session and the place in its stream under which it went to the peer; seq 0 = it did not. */
  session = 0;
  seq = 0;
  /** The peer's answer is needed and not there. */
  awaitsPeer = false;
  /** The peer has it. */
  peerHas = false;
  local: 'no' | 'asked' | 'done' = 'no';
  /** The bits of its chunks are durable: it may be carried out (W1). */
  marked = false;
  parked = false;
  done: RequestDone = NOBODY;
  /** A lock of the resync's: called when its turn has come. Null in requests of the application. */
  onGranted: ((range: Request) => void) | null = null;
  /** The disk's answer; handed on together with this request. */
  readonly onLocal: (error: Error | null) => void;

  constructor(onLocal: (request: Request, error: Error | null) => void) {
    this.onLocal = (error) => onLocal(this, error);
  }

  reset(kind: RequestKind, begin: number, end: number, done: RequestDone): void {
    this.kind = kind;
    this.begin = begin;
    this.end = end;
    this.bytes = NOTHING;
    this.fua = false;
    this.mayPunch = false;
    this.session = 0;
    this.seq = 0;
    this.awaitsPeer = false;
    this.peerHas = false;
    this.local = 'no';
    this.marked = false;
    this.parked = false;
    this.done = done;
  }

  get ended(): boolean {
    return this.done === NOBODY;
  }

  /** Answers and forgets. */
  finish(error: Answer): void {
    const { done } = this;
    this.done = NOBODY;
    this.bytes = NOTHING;
    done(error);
  }
}
