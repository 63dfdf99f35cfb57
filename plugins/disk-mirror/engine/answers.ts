// W2: the last look before every answer. The lease is held, now and under our epoch; and a write is on every copy that the record
// calls in sync. What may not be answered is held and looked at again with each tick; when the lease is over all end with errors.
import type { Core } from './core.js';
import type { Request } from './request.js';

export class Answers {
  readonly #core: Core;
  #held: Request[] = [];
  #because: string | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Why answers are held back, null = they are not. */
  get heldBecause(): string | null {
    return this.#held.length > 0 ? this.#because : null;
  }

  /** The request is carried out. */
  give(request: Request): void {
    if (!this.#tryTo(request)) this.#held.push(request);
  }

  /** Time has gone on, or the lease page has changed. What waits for anything else than an answer ends with the lease too. */
  tick(): void {
    const { role, stopped, writes, ports, epoch } = this.#core;
    if (role === 'primary' && !stopped && writes.underWay > 0) {
      const lease = ports.lease();
      if (lease.state === 'over' || (lease.state === 'held' && lease.epoch !== epoch))
        this.#core.freeze(`the lease of epoch ${epoch} is over`);
    }
    this.retry();
  }

  /** What is held may be answered by now. */
  retry(): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const request of held) this.give(request);
  }

  endAll(error: 'EIO' | 'ESHUTDOWN'): void {
    const held = this.#held;
    this.#held = [];
    for (const request of held) {
      request.finish(error);
      this.#core.writes.recycle(request);
    }
  }

  #tryTo(request: Request): boolean {
    const core = this.#core;
    if (!request.ended && !core.stopped) {
      const lease = core.ports.lease();
      if (lease.state === 'suspended') return this.#hold('the lease has run out and is not renewed yet');
      if (lease.state === 'over' || lease.epoch !== core.epoch) core.freeze(`the lease of epoch ${core.epoch} is over`);
      else if (request.kind === 'read' ? core.standing.even : !lease.peerInSync || this.#peerNeedsNot(request)) request.finish(null);
      else {
        core.standing.missed();
        return this.#hold('the record calls the peer in sync, and it may lack this');
      }
    }
    if (!request.ended) request.finish(core.failed === null ? 'ESHUTDOWN' : 'EIO');
    core.writes.recycle(request);
    return true;
  }

  /** The record calls the peer in sync, and rightly so as far as this request goes. */
  #peerNeedsNot(request: Request): boolean {
    if (request.peerHas) return true;
    const { standing, stream, options } = this.#core;
    return request.serial < standing.coveredSerial || stream.has(request) || (options.mode === 'async' && standing.counted);
  }

  #hold(because: string): false {
    this.#because = because;
    return false;
  }
}
