// Rounds of attempts over all paths, each path a little after the better one, the next round later than the last up to a bound:
// a peer that is away, or that ends what it accepts, is never called in a hot loop.
import type { Timer } from 'understudy/plugin';
import type { DEFAULTS, LinkPath, PeerLinkOptions, Tell } from './link-options.js';
import { Backoff } from './silence.js';

export interface DiallerPorts {
  /** Whether a connection is still wanted. */
  wanted(): boolean;
  /** One attempt; null when it became the connection, else why not. */
  dial(path: LinkPath): Promise<string | null>;
}

/** A better path has this much of a head start. */
const STAGGER_MS = 250;

export class Dialler {
  readonly #options: PeerLinkOptions & typeof DEFAULTS;
  readonly #tell: Tell;
  readonly #ports: DiallerPorts;
  readonly #backoff: Backoff;
  #dialling = false;
  #next: Timer | null = null;

  constructor(options: PeerLinkOptions & typeof DEFAULTS, tell: Tell, ports: DiallerPorts) {
    this.#options = options;
    this.#tell = tell;
    this.#ports = ports;
    this.#backoff = new Backoff(options.retry.minMs, options.retry.maxMs, () => options.random.next());
  }

  /** A round `waitMs` from now, instead of one that was to come. */
  start(waitMs: number): void {
    this.#next?.cancel();
    this.#next = this.#options.clock.after(waitMs, () => {
      this.#next = null;
      void this.#round();
    });
  }

  /** A round after the pause that is due, and `moreMs`. */
  again(moreMs: number): void {
    if (this.#ports.wanted()) this.start(moreMs + this.#backoff.next());
  }

  /** The connection proved good: the next pause is a short one. */
  settled(): void {
    this.#backoff.reset();
  }

  stop(): void {
    this.#next?.cancel();
    this.#next = null;
  }

  async #round(): Promise<void> {
    if (this.#dialling || !this.#ports.wanted()) return;
    this.#dialling = true;
    const failures = await Promise.all(this.#options.paths.map((path, place) => this.#attempt(path, place * STAGGER_MS)));
    this.#dialling = false;
    if (!this.#ports.wanted()) return;
    this.#tell('mirror.link-unreachable', failures.filter((failure) => failure !== null).join('; '));
    if (this.#next === null) this.again(0);
  }

  async #attempt(path: LinkPath, waitMs: number): Promise<string | null> {
    if (waitMs > 0) await this.#options.clock.sleep(waitMs);
    return this.#ports.wanted() ? this.#ports.dial(path) : null;
  }
}
