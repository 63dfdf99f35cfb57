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

const AGAIN_MS = 250;

export const takeUp = (how: TakeUp): void => {
  const { clock, untilMs, wanted, attach, trouble } = how;
  clock.after(AGAIN_MS, () => {
    if (!wanted() || clock.nowMs() > untilMs) return;
    attach().catch((error: unknown) => {
      trouble(reasonOf(error));
      takeUp(how);
    });
  });
};
