// The acquaintance with one peer (SAFETY S1): which of its boots is the present one, which of its frames are new, and what
// we send for it to know the same of us. Pure but for the nonces it is given.
// Invariant: a boot becomes current only by giving back a nonce that this process made and gave out once; so a recording
// of an earlier boot, or of an earlier process of ours, never becomes current.
import type { BootId, NodeId } from '../model/ids.js';
import type { Frame } from './frame.js';
import { ReplayWindow } from './replay-window.js';

export type Verdict = 'accepted' | 'new-boot' | 'replay' | 'unknown-boot';

export class PeerSession {
  readonly peer: NodeId;
  readonly #newNonce: () => string;
  #bootId: BootId | null = null;
  #window: ReplayWindow | null = null;
  #challenge: string;
  #answer: string | null = null;
  #seq: number;

  /** `firstSeq` is above every number that earlier processes of this boot used: microseconds of the monotonic clock. */
  constructor(peer: NodeId, firstSeq: number, newNonce: () => string) {
    this.peer = peer;
    this.#newNonce = newNonce;
    this.#challenge = newNonce();
    this.#seq = firstSeq;
  }

  /** What the next frame to the peer carries. `answering` is a boot not yet known: its own challenge is given back. */
  outgoing(answering: Frame | null = null): { readonly seq: number; readonly challenge: string; readonly answer: string | null } {
    this.#seq += 1;
    return { seq: this.#seq, challenge: this.#challenge, answer: answering === null ? this.#answer : answering.challenge };
  }

  /** Judges an authentic frame of the peer; of anything but `accepted` and `new-boot` nothing may be believed. */
  judge(frame: Frame): Verdict {
    if (frame.bootId !== this.#bootId || this.#window === null) {
      if (frame.answer !== this.#challenge) return 'unknown-boot';
      this.#bootId = frame.bootId;
      this.#window = new ReplayWindow(frame.seq);
      this.#challenge = this.#newNonce();
      this.#answer = frame.challenge;
      return 'new-boot';
    }
    if (!this.#window.accept(frame.seq)) return 'replay';
    this.#answer = frame.challenge;
    return 'accepted';
  }
}
