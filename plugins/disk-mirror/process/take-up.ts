// The kernel's device waits for a connection: it gets one again and again until one stays or nobody wants it any more.
import { type Clock, reasonOf } from 'understudy/plugin';

export interface TakeUp {
  readonly clock: Clock;
  /** Later than this the driver has given up. */
  readonly untilMs: number;
  readonly wanted: () => boolean;
  readonly attach: () => Promise<unknown>;
  readonly trouble: (because: string) => void;
}

/** Also before the first try: a connection that ends as soon as it is there must not be made anew in a hot loop. */
const AGAIN_MS = 250;

export const takeUp = (how: TakeUp, waitMs = AGAIN_MS): void => {
  const { clock, untilMs, wanted, attach, trouble } = how;
  clock.after(waitMs, () => {
    if (!wanted() || clock.nowMs() > untilMs) return;
    attach().catch((error: unknown) => {
      trouble(reasonOf(error));
      takeUp(how);
    });
  });
};
