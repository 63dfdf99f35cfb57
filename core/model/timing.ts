// The numbers of the ownership protocol (SAFETY a.5). All are milliseconds. core/config/timing proves I1 to I9 over them.

/** Every duration the lease, the heartbeats and the watchdog live by. The same on all nodes; the lease record's win. */
export interface Timing {
  /** Name shown to people: the profile it came from, with `+` behind it when single values were changed. */
  readonly profile: string;
  /** W must withstand any number of pauses of the old holder's guard (I5). */
  readonly strict?: boolean;
  /** h: one heartbeat on every network each so often. */
  readonly heartbeatMs: number;
  /** Silence on all heartbeat networks for so long makes a peer `suspect` (I8). */
  readonly suspectAfterMs: number;
  /** R: the holder renews its lease each so often. */
  readonly renewMs: number;
  /** a: one arbiter attempt may take so long, counted from before it was sent. */
  readonly attemptMs: number;
  /** soft: so long after the send of the last good renew the holder starts to look for another proof (I7). */
  readonly softMs: number;
  /** D: so long after the send of the last good renew the holder self-fences. */
  readonly selfFenceMs: number;
  /** S: from D to "nothing of the group is active any more". */
  readonly stopBudgetMs: number;
  /** WD: the watchdog resets the host so long after it was last petted. A whole number of seconds (I9). */
  readonly watchdogMs: number;
  /** g: granularity of the watchdog device; 0 for softdog and the lab's, 1000 for most hardware. */
  readonly watchdogGranularityMs: number;
  /** c: so much later it bites when the guard's end itself pets it: WD for a device of the kernel. Absent = 0. */
  readonly watchdogLingerMs?: number;
  /** P_max: the oldest renew at which the watchdog may be petted. */
  readonly petMaxAgeMs: number;
  /** Q: the observer reads the record each so often. */
  readonly pollMs: number;
  /** ε: added to every inequality over two nodes' clocks. */
  readonly marginMs: number;
  /** ρ: how much two monotonic clocks' rates may differ; 0.01 is one per cent. */
  readonly driftRatio: number;
  /** W: an observer that saw the same record for so long, counted from after it received the read, may take over. */
  readonly takeoverWaitMs: number;
  /** After RELEASED the candidate of rank r waits r times this. */
  readonly rankDelayMs: number;
  /** a′ of `confirm: renewal`: so long beyond R after the last heartbeat the renewal must have reached the arbiter. */
  readonly arbiterRttMs: number;
  /** Heard without a gap for so long before a silence counts as an edge for `takeover: preempt`. */
  readonly steadyMs: number;
}
