// How well one peer is heard over one network: the share of its frames that is lost, and the round trip. When they are so bad
// that suspicion is near, that is worth a person's attention (an alarm, nothing else): docs/reference/config.md has the formula.
// Pure: times come in; a fixed number of buckets, looked at once a bucket. A silence is not its business: detector.ts.

/** What is bad, derived from the timing. */
export interface QualityLimits {
  readonly suspectAfterMs: number;
  /** So many beats in a row may be lost before the peer is suspect. */
  readonly missedBeats: number;
  readonly windowMs: number;
  /** From here on a silence of suspectAfter begins with one beat in a thousand, if losses are independent. */
  readonly lossRatio: number;
  /** Half of what suspectAfter leaves beside three beats (I8), and a quarter of a beat at least: delays swing by about as much as they last. */
  readonly rttMs: number;
}

export interface QualityChange {
  readonly began: boolean;
  readonly lossRatio: number;
  readonly rttMs: number | null;
  readonly because: string;
}

const BUCKETS = 10;
const SHORTEST_WINDOW_MS = 10_000;
const WINDOW_BEATS = 30;
const ONE_IN = 1_000;
/** Fewer frames prove nothing: a frame that is late is not lost. */
const MIN_FRAMES = 20;
/** It ends after a whole window below half of what begins it: no alarm that comes and goes. */
const END_AT = 0.5;
/** So much worse than what was said it is said anew, in the alarm alone. */
const WORSE = 1.25;
/** More frames than this at once were never sent: another process of the peer counts from elsewhere. */
const MAX_MISSING = 4_096;

/** `suspectAfterMs` as it counts for this peer (effectiveSuspectAfterMs). */
export const qualityLimits = (suspectAfterMs: number, heartbeatMs: number): QualityLimits => {
  const missedBeats = Math.max(1, Math.ceil(suspectAfterMs / heartbeatMs) - 1);
  return {
    suspectAfterMs,
    missedBeats,
    windowMs: Math.max(SHORTEST_WINDOW_MS, WINDOW_BEATS * heartbeatMs),
    lossRatio: (1 / ONE_IN) ** (1 / (missedBeats + 1)),
    rttMs: Math.max(heartbeatMs / 4, (suspectAfterMs - 3 * heartbeatMs) / 2),
  };
};

interface Bucket {
  readonly sent: number;
  readonly heard: number;
}

export class LinkQuality {
  readonly #limits: QualityLimits;
  /** Every frame to a peer has the next number, over all its networks in turn. */
  readonly #networks: number;
  readonly #words: string;
  #past: Bucket[] = [];
  #bucketFromMs = 0;
  #top: number | null = null;
  #sent = 0;
  #heard = 0;
  /** Looks in a row at which it was no longer bad. */
  #better = 0;
  #poor: string | null = null;
  /** How bad it was, of what begins it, when that sentence was made. */
  #said = 0;

  /** `words`: what is measured, for people: `b over heartbeat-1`. */
  constructor(limits: QualityLimits, networks: number, words: string) {
    this.#limits = limits;
    this.#networks = networks;
    this.#words = words;
  }

  /** Why it is bad, while it is. */
  get poor(): string | null {
    return this.#poor;
  }

  /** A frame with this number was believed; `rttMs` is smoothed. What begins or ends with it. */
  heard(seq: number, rttMs: number | null, atMs: number): QualityChange | null {
    const missing = this.#top === null ? 0 : (seq - this.#top) / this.#networks;
    if (this.#top === null || Math.abs(missing) > MAX_MISSING) {
      this.restart();
      this.#top = seq;
      this.#bucketFromMs = atMs;
      return null;
    }
    const change = atMs - this.#bucketFromMs >= this.#limits.windowMs / BUCKETS ? this.#judge(rttMs, atMs) : null;
    this.#heard += 1;
    if (missing <= 0) return change;
    this.#sent += missing;
    this.#top = seq;
    return change;
  }

  /** What was measured counts no longer: this process paused, or the peer is another one. The alarm stays until it is measured anew. */
  restart(): void {
    this.#past = [];
    this.#top = null;
    this.#sent = 0;
    this.#heard = 0;
    this.#better = 0;
  }

  /** The link is down: what it was before is no news any more. */
  down(): QualityChange | null {
    this.restart();
    if (this.#poor === null) return null;
    this.#poor = null;
    return { began: false, lossRatio: 1, rttMs: null, because: `${this.#words}: nothing is heard any more` };
  }

  #judge(rttMs: number | null, atMs: number): QualityChange | null {
    this.#past.push({ sent: this.#sent, heard: this.#heard });
    if (this.#past.length > BUCKETS) this.#past.shift();
    this.#sent = 0;
    this.#heard = 0;
    this.#bucketFromMs = atMs;
    const sent = this.#past.reduce((sum, bucket) => sum + bucket.sent, 0);
    const heard = this.#past.reduce((sum, bucket) => sum + bucket.heard, 0);
    if (sent < MIN_FRAMES) return null;
    const lossRatio = Math.max(0, 1 - heard / sent);
    const limits = this.#limits;
    const figures = this.#figures(lossRatio, rttMs);
    const badness = Math.max(lossRatio / limits.lossRatio, (rttMs ?? 0) / limits.rttMs);
    if (badness >= 1 && (this.#poor === null || badness >= WORSE * this.#said)) {
      const began = this.#poor === null;
      this.#said = badness;
      this.#poor = `${figures}; suspectAfter = ${limits.suspectAfterMs} ms allows ${limits.missedBeats} missed beats: a suspicion without cause is near`;
      if (began) return { began, lossRatio, rttMs, because: this.#poor };
    }
    this.#better = badness < END_AT ? this.#better + 1 : 0;
    if (this.#poor === null || this.#better < BUCKETS) return null;
    this.#poor = null;
    return { began: false, lossRatio, rttMs, because: figures };
  }

  #figures(lossRatio: number, rttMs: number | null): string {
    const rtt = rttMs === null ? 'no round trip measured' : `round trip ${Math.round(rttMs)} ms`;
    const seconds = Math.round(this.#limits.windowMs / 1_000);
    return `${this.#words}: ${Math.round(100 * lossRatio)} % of the frames of the last ${seconds} s are lost, ${rtt}`;
  }
}
