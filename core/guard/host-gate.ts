// What stands against acquiring on this host, whatever record, will and peers say: no leash where there is no watchdog, a
// leash that is still stopping an epoch, a watchdog or files that just failed (SAFETY a.2). Holding is not its business.
import type { OwnershipState } from '../ownership/state.js';
import type { LeaseClock } from './lease-clock.js';
import type { LeashWatch } from './leash-watch.js';
import type { PageDesk } from './page-desk.js';

export interface HostGateOptions {
  readonly leaseClock: LeaseClock;
  readonly leash: LeashWatch;
  readonly pages: PageDesk;
  readonly needsLeash: boolean;
  readonly states: () => readonly OwnershipState[];
  /** Called when the blockers are others than before. */
  readonly changed: (blockers: readonly string[]) => void;
}

/** An epoch would only be won to be given up: for so long none is tried. */
const UNFIT_MS = 5_000;

export class HostGate {
  readonly #options: HostGateOptions;
  #shown = '';
  #unfit: { readonly because: string; readonly untilMs: number } | null = null;

  constructor(options: HostGateOptions) {
    this.#options = options;
  }

  /** The watchdog or a file has failed. */
  unfit(because: string): void {
    this.#unfit = { because, untilMs: this.#options.leaseClock.nowMs() + UNFIT_MS };
    this.look();
  }

  look(): void {
    const nowMs = this.#options.leaseClock.nowMs();
    if (this.#unfit !== null && nowMs >= this.#unfit.untilMs) this.#unfit = null;
    const stopping = this.#options.states().some((state) => this.#leashStops(state));
    const trouble = this.leashTrouble();
    // Nearly always: nothing is put together then.
    if (!stopping && trouble === null && this.#unfit === null && this.#shown === '') return;
    const blockers = [trouble, stopping ? 'the leash is still stopping an epoch' : null, this.#unfit?.because ?? null].filter(
      (blocker) => blocker !== null,
    );
    if (this.#shown === blockers.join('\n')) return;
    this.#shown = blockers.join('\n');
    this.#options.changed(blockers);
  }

  /** Why this host has nobody to stop a group when its guard is gone, else null. */
  leashTrouble(): string | null {
    const { needsLeash, leash, leaseClock } = this.#options;
    return needsLeash && !leash.alive(leaseClock.nowMs()) ? 'there is no watchdog, and the leash does not beat' : null;
  }

  #leashStops({ policy, tenure, stoppedEpoch }: OwnershipState): boolean {
    const epoch = tenure?.epoch ?? stoppedEpoch;
    return epoch > 0 && this.#options.pages.leashFired(policy.group, epoch) === 'stopping';
  }
}
