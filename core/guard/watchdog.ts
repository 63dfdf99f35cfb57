// The watchdog door (SAFETY a.5, a.6): something outside this process resets the host unless it is petted in time. The
// guard decides when it may be petted (dog-keeper.ts); a driver only speaks to the device, and verifies what it did.

export interface Watchdog {
  /** Shown to people: `none`, `socket`, `device`. */
  readonly driver: string;
  /** Whether there is one at all. Without it arm, pet and disarm are never called. */
  readonly present: boolean;
  /** It runs and cannot be disarmed (nowayout): it has to be petted until the host goes down. Absent = false. May throw. */
  readonly lasts?: boolean;
  /** Resolves when it is armed with exactly this timeout. Rejects when that cannot be verified. Idempotent. */
  arm(timeoutMs: number): Promise<void>;
  /** Pets it and verifies that it was petted; resolves with the age of the pet before, milliseconds. */
  pet(): Promise<number>;
  /** Resolves when it no longer bites. */
  disarm(): Promise<void>;
  /** Drops the connection; an armed watchdog stays armed. */
  close(): void;
}

/** No watchdog is configured. */
export const noWatchdog: Watchdog = {
  driver: 'none',
  present: false,
  arm: () => Promise.reject(new Error('no watchdog is configured')),
  pet: () => Promise.reject(new Error('no watchdog is configured')),
  disarm: () => Promise.resolve(),
  close: () => undefined,
};
