// Which agents are no longer called, and why. An agent that never settles, or that held the loop until the process was
// ended, faults only its own resources: they are `unknown`, with the reason, until an operator clears it or it settles.
// The mark file says whose synchronous code was running, so that a hang is attributed after the restart.
import { AsyncLocalStorage } from 'node:async_hooks';
import { join } from 'node:path';
import { inject, injectable } from 'tsyringe';
import { Journal } from '../journal/journal.js';
import { Clock } from '../system/clock.js';
import { Files, type FixedWriter } from '../system/files.js';
import { Self } from './ports.js';

/** So many calls given up in a row and still running: enough. */
const NEVER_SETTLED_LIMIT = 3;
/** The guard ends a silent controller after 5 s; a mark younger than this at the restart was a kill from outside. */
const BLOCKED_MS = 3000;
const MARK_BYTES = 256;
/** Stands on the mark in place of the time when an agent ended the process: then its age says nothing. */
const ENDED = 'ended';

@injectable()
export class Quarantine {
  private readonly because = new Map<string, { readonly because: string; readonly liftedBySettling: boolean }>();
  private readonly running = new Map<string, number>();
  private readonly calls = new AsyncLocalStorage<string>();
  private mark: FixedWriter | null = null;
  /** Grows with every `clear`: what hung before it is not waited for any longer, and may be called once more. */
  round = 0;

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Journal) private readonly journal: Journal,
    @inject(Self) private readonly self: Self,
    @inject(Files) private readonly files: Files,
  ) {}

  /** Reads the mark that the last controller of this boot left, then keeps the file open for its own. */
  open(): void {
    const path = join(this.self.runDir, 'calling');
    const left = this.files.read(path)?.toString() ?? '';
    const [type, what, bootId, atMs] = left.trim().split('\t');
    if (type && what && bootId === this.self.bootId) {
      if (atMs === ENDED) this.put(type, `${what} ended the controller`);
      else if (this.clock.nowMs() - Number(atMs) > BLOCKED_MS) this.put(type, `${what} held the controller's loop until it was ended`);
    }
    this.mark = this.files.openFixed(path, MARK_BYTES);
    this.writeMark('');
  }

  close(): void {
    this.mark?.close();
    this.mark = null;
  }

  /** Why this type's agent is not to be called, or null when it may be. */
  reason(type: string): string | null {
    return this.because.get(type)?.because ?? null;
  }

  get types(): readonly { readonly type: string; readonly because: string }[] {
    return [...this.because].map(([type, { because }]) => ({ type, because }));
  }

  /** Runs the synchronous part of a call with its name on the mark: two writes of one line, microseconds. */
  marked<T>(type: string, what: string, call: () => T): T {
    this.writeMark(`${type}\t${what}\t${this.self.bootId}\t${Math.round(this.clock.nowMs())}`);
    try {
      return this.calls.run(type, call);
    } finally {
      this.writeMark('');
    }
  }

  /** Whose code is running or was running when this callback was made; null for our own. For errors that nobody catches. */
  get culprit(): string | null {
    return this.calls.getStore() ?? null;
  }

  /** An agent's code is ending this very process (`process.exit`): the next controller is to know. */
  ending(type: string, what: string): void {
    this.writeMark(`${type}\t${what}\t${this.self.bootId}\t${ENDED}`);
  }

  /** For callbacks that agents call: what they cause is ours again. */
  outside<T>(call: () => T): T {
    return this.calls.exit(call);
  }

  /** A call was given up and is still running somewhere. */
  gaveUp(type: string, what: string): void {
    const count = (this.running.get(type) ?? 0) + 1;
    this.running.set(type, count);
    if (count >= NEVER_SETTLED_LIMIT) this.put(type, `${what}: ${count} calls were given up and have not ended`, true);
  }

  /** A call that was given up has ended after all. */
  settledLate(type: string): void {
    this.running.set(type, 0);
    if (this.because.get(type)?.liftedBySettling) this.lift(type, 'its calls have ended');
  }

  /** Stops calling it: its code threw where nobody was waiting for it, say. */
  put(type: string, because: string, liftedBySettling = false): void {
    if (this.because.has(type)) return;
    this.because.set(type, { because, liftedBySettling });
    this.journal.write({ kind: 'plugin.quarantined', because, data: { type } });
  }

  /** An operator's `clear` tries every agent again. */
  clear(): void {
    this.round += 1;
    for (const { type } of this.types) this.lift(type, 'cleared by an operator');
    this.running.clear();
  }

  private lift(type: string, because: string): void {
    if (this.because.delete(type)) this.journal.write({ kind: 'plugin.released', because, data: { type } });
  }

  private writeMark(text: string): void {
    this.mark?.write(Buffer.from(`${text.slice(0, MARK_BYTES - 1).padEnd(MARK_BYTES - 1)}\n`, 'latin1'));
  }
}
