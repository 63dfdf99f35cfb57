// A look at the peer without doing anything about it (`connect --what-if`): where both stay apart they are connected for one hello
// each, and part again as they were. Invariant: nothing is decided, saved or sent but the hello; what state the session had it has
// again, whether the peer was heard or not.
import type { CopyState } from '../words.js';
import type { Core } from './core.js';
import type { Meeting } from './ports.js';

interface Looking {
  readonly answer: (met: Meeting) => void;
  readonly state: 'split' | 'refused';
  readonly because: string;
  readonly sinceMs: number;
}

export class Look {
  readonly #core: Core;
  #looking: Looking | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  begin(answer: (met: Meeting) => void): void {
    const { session, ports, nowMs } = this.#core;
    const { state, because, peer } = session;
    const last = (now: true | string): void => answer({ mine: this.#core.copyState(), peer, now });
    if (state === 'mirroring' || state === 'syncing' || state === 'bitmap') return last(true);
    if (state !== 'split' && state !== 'refused') return last(`not connected: ${because}`);
    if (this.#looking !== null) return last('somebody else is looking');
    this.#looking = { answer, state, because, sinceMs: nowMs };
    return ports.reconnect();
  }

  /** True: that was all that was wanted of this hello. */
  met(mine: CopyState, peer: CopyState): boolean {
    const looking = this.#end();
    if (looking === null) return false;
    this.#core.session.remain(looking.state, looking.because);
    looking.answer({ mine, peer, now: true });
    return true;
  }

  /** The connection ended before its hello came. */
  lost(because: string): void {
    const looking = this.#end();
    if (looking === null) return;
    const { session } = this.#core;
    session.remain(looking.state, looking.because);
    looking.answer({ mine: this.#core.copyState(), peer: session.peer, now: because });
  }

  tick(): void {
    if (this.#looking === null || this.#core.nowMs - this.#looking.sinceMs <= this.#core.options.peerTimeoutMs) return;
    this.lost(`no hello within ${this.#core.options.peerTimeoutMs} ms`);
  }

  #end(): Looking | null {
    const looking = this.#looking;
    this.#looking = null;
    return looking;
  }
}
