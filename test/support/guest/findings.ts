// What the drill in the guest saw, as it comes out of it.
export interface Said {
  readonly exitCode: number | null;
  readonly output: string;
}

export interface KernelFindings {
  readonly device: string;
  readonly sizeBytes: number;
  /** Bytes of notes that the applications wrote while the standby was held. */
  readonly answeredWhileHeld: number;
  readonly afterHeldMs: number;
  readonly primaryKills: readonly { readonly servesMs: number; readonly pauseMs: number; readonly device: string | null }[];
  readonly standbyKills: readonly { readonly aloneMs: number; readonly inSyncMs: number }[];
  /** Of the applications. */
  readonly exits: readonly (number | null)[];
  readonly errors: readonly string[];
  readonly lines: readonly number[];
  /** What a detach of the mounted device was answered; null = it was carried out. */
  readonly refused: string | null;
  readonly fsck: Said;
  readonly lost: readonly string[];
  readonly equal: Said;
  readonly standbyFsck: Said;
  readonly standbyLost: readonly string[];
}
