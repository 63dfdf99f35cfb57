// One understanding with the peer: hellos, the decision that both must come to, then the frames of a mirror or a resync. A session
// begins with a connection, and anew on the same one when a role changes. Nothing of an older session or connection counts any
// more (a.11): before a new hello all that was begun has ended and the superblock is durable. Epochs: a primary of an older epoch
// is refused and fences itself; a newer epoch is durable here before anything is answered.
import { decide, signature, type Verdict } from '../handshake/decide.js';
import { helloOf, helloProblem } from '../handshake/hello.js';
import type { Frame } from '../link/frames.js';
import type { CopyState } from '../words.js';
import { carry } from './carry.js';
import type { Core } from './core.js';
import { isUndecided, type SessionState } from './session-state.js';

export class Session {
  readonly #core: Core;
  #state: SessionState = 'down';
  /** The connection; 0 = none. */
  link = 0;
  #newestLink = 0;
  /** Counts ours. */
  session = 0;
  /** Both sides' frames carry it. */
  epoch = 0;
  because = 'not connected yet';
  #peer: CopyState | null = null;
  #mine: CopyState | null = null;
  #verdict: Verdict | null = null;
  #peerDecision: string | null = null;
  #sinceMs = 0;
  /** Why both stay apart, until something else is decided. */
  #apart: string | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  get state(): SessionState {
    return this.#state;
  }

  get peer(): CopyState | null {
    return this.#peer;
  }

  linkUp(link: number): void {
    // Told late: a newer one is there.
    if (link <= this.#newestLink) return;
    this.#newestLink = link;
    this.#end('the connection was made anew');
    this.link = link;
    this.#begin(0);
  }

  linkDown(link: number, because: string): void {
    if (link !== this.link) return;
    this.link = 0;
    const verdict = this.#state === 'agreeing' ? this.#verdict : null;
    const undecided = isUndecided(this.#state);
    this.#end(because);
    // The peer has come to the same, and was quicker to leave: to dial again would only split again.
    if (verdict?.kind === 'split') this.#split(verdict.because);
    // It came only to look, or got no further: nothing was decided anew.
    else if (undecided && this.#apart !== null && !this.#core.victim) this.remain('split', this.#apart);
    this.#core.look.lost(because);
  }

  /** As it was before the peer was only looked at. */
  remain(state: 'split' | 'refused', because: string): void {
    // Nobody dials on: it is dropped also where it had not come to be.
    if (this.link === 0) this.#core.ports.dropLink(because, true);
    this.drop(because, true);
    this.#state = state;
    this.because = because;
  }

  /** The role has changed: both look at each other anew. */
  restart(because: string): void {
    if (this.link === 0) return;
    this.#end(because);
    this.#begin(0);
  }

  /** Nothing of this session counts any more, and no new one begins before `restart`. */
  suspend(because: string): void {
    if (this.link === 0) return;
    this.#end(because);
    this.session += 1;
    this.#state = 'waiting';
    this.#sinceMs = this.#core.nowMs;
  }

  /** Ends the connection. */
  drop(because: string, forGood = false): void {
    if (this.link === 0) return;
    this.link = 0;
    // First: what is answered in the end below may be used again, and must not be on its way still.
    this.#core.ports.dropLink(because, forGood);
    this.#end(because);
  }

  /** What our hello said is no longer so. */
  stateMoved(): void {
    if (this.#state === 'hello' || this.#state === 'deciding' || this.#state === 'agreeing') this.drop('written alone while saying hello');
  }

  tellFailed(because: string): void {
    if (this.link !== 0 && this.#state !== 'down') this.#core.ports.send({ t: 'failed', epoch: this.epoch, because });
  }

  mirroring(): void {
    this.#state = 'mirroring';
    this.#core.applier.even();
    this.because = 'every write goes to both';
    this.#core.promotion.settled();
  }

  syncing(): void {
    this.#state = 'syncing';
  }

  tick(): void {
    if (this.link === 0 || this.#state === 'down') return;
    const { nowMs, options, stream } = this.#core;
    const { peerTimeoutMs } = options;
    const handshaking = this.#state !== 'mirroring' && this.#state !== 'syncing' && this.#state !== 'bitmap';
    if (handshaking && nowMs - this.#sinceMs > peerTimeoutMs) return this.drop(`no understanding within ${peerTimeoutMs} ms`);
    if (stream.waitedMs > peerTimeoutMs) return this.drop(`the peer has not answered a write for ${stream.waitedMs} ms`);
    return undefined;
  }

  frame(link: number, frame: Frame): void {
    if (link !== this.link || link === 0) return undefined;
    if (frame.t === 'hello') return this.#hello(frame);
    if (frame.t === 'refuse-stale') return this.#refusedAsStale(frame.maxEpochSeen);
    // What the peer said before it heard our last hello.
    if (this.#state === 'waiting' || this.#state === 'hello') return undefined;
    if (frame.epoch !== this.epoch) return this.drop(`a frame of epoch ${frame.epoch} in a session of epoch ${this.epoch}`);
    if (frame.t === 'decision') return this.#decision(frame.rule, frame.because);
    if (frame.t === 'failed') return this.#peerFailed(frame.because);
    return carry(this.#core, frame);
  }

  #end(because: string): void {
    const { standing, stream, flushes, source, target, verify, applier, promotion } = this.#core;
    this.because = because;
    this.#verdict = null;
    this.#peerDecision = null;
    if (this.#state !== 'split' && this.#state !== 'refused') this.#state = 'down';
    standing.lose(because);
    source.stop();
    target.stop();
    verify.stop(because);
    applier.lose();
    flushes.lose();
    stream.lose();
    standing.settle();
    promotion.peerGone();
  }

  /** Says hello when nothing of before is under way. */
  #begin(answers: number, then: () => void = () => undefined): void {
    const { link } = this;
    this.#state = 'waiting';
    this.#sinceMs = this.#core.nowMs;
    this.session += 1;
    const { session } = this;
    const ready = () => {
      if (link !== this.link || session !== this.session) return;
      const { applier, saved } = this.#core;
      if (!applier.idle) applier.whenIdle(ready);
      else if (saved) this.#say(answers, then);
      else this.#core.whenSaved(ready);
    };
    ready();
  }

  #say(answers: number, then: () => void): void {
    const core = this.#core;
    this.#state = 'hello';
    core.applier.begin();
    this.#mine = core.copyState();
    core.ports.send(helloOf(this.#mine, this.session, answers, core.chunkBytes));
    then();
  }

  #hello(hello: Extract<Frame, { t: 'hello' }>): void {
    const problem = helloProblem(hello, this.#core.chunkBytes);
    if (problem !== null) {
      this.#state = 'refused';
      return this.drop(problem, true);
    }
    if (hello.answers !== 0 && hello.answers !== this.session) return undefined;
    if (this.#state === 'hello') {
      // Ours crossed it, and the peer may have heard ours while it was beginning anew: then it waits for this.
      if (hello.answers === 0) this.#core.ports.send(helloOf(this.#mine!, this.session, hello.session, this.#core.chunkBytes));
      return this.#met(hello.copy);
    }
    // It answers what we have given up meanwhile, or opens while ours is still on its way: ours says all.
    if (hello.answers !== 0) return undefined;
    if (this.#state !== 'waiting') this.#end('the peer begins anew');
    return this.#begin(hello.session, () => this.#met(hello.copy));
  }

  #met(peer: CopyState): void {
    const core = this.#core;
    const mine = this.#mine!;
    this.#peer = peer;
    if (core.look.met(mine, peer)) return;
    this.#state = 'deciding';
    this.epoch = Math.max(mine.maxEpochSeen, peer.maxEpochSeen);
    const verdict = decide(mine, peer);
    this.#verdict = verdict;
    if (verdict.kind === 'refuse' && verdict.stale === 'b')
      core.ports.send({ t: 'refuse-stale', epoch: this.epoch, maxEpochSeen: mine.maxEpochSeen });
    if (this.epoch > mine.maxEpochSeen && core.role === 'primary') core.fence(this.epoch, `${peer.node} has seen epoch ${this.epoch}`);
    const { session, link } = this;
    const agree = () => {
      if (session !== this.session || link !== this.link) return;
      core.ports.send({ t: 'decision', epoch: this.epoch, rule: signature(verdict, mine, peer), because: verdict.because });
      this.#state = 'agreeing';
      this.#act();
    };
    if (this.epoch > core.sb.maxEpochSeen) core.save({ maxEpochSeen: this.epoch }, agree);
    else core.whenSaved(agree);
  }

  #decision(rule: string, because: string): void {
    const mine = this.#verdict === null ? null : signature(this.#verdict, this.#mine!, this.#peer!);
    if (mine !== rule) {
      this.#core.ports.tell({ kind: 'mirror.disagree', because: `this node decided ${mine}, the peer ${rule}: ${because}` });
      return this.drop(`the peer decided ${rule}, this node ${mine}`);
    }
    this.#peerDecision = rule;
    return this.#act();
  }

  /** Both have decided the same, and each has made durable what it had to. */
  #act(): void {
    const core = this.#core;
    if (this.#state !== 'agreeing' || this.#peerDecision === null) return undefined;
    const verdict = this.#verdict!;
    const peer = this.#peer!;
    this.because = verdict.because;
    this.#apart = null;
    core.ports.tell({ kind: 'mirror.decision', because: verdict.because, data: { rule: verdict.rule, kind: verdict.kind } });
    switch (verdict.kind) {
      case 'none':
        return this.#together(peer);
      case 'sync':
        this.#state = 'bitmap';
        return verdict.source === 'a' ? core.source.begin(verdict.how, peer.seeded) : core.target.sendBitmap(verdict.how);
      case 'split':
        return this.#split(verdict.because);
      case 'refuse':
        this.#state = 'refused';
        return this.drop(verdict.because, verdict.forGood);
    }
  }

  /** Nothing is merged by itself; both stay apart until an operator has said whose changes are given up. */
  #split(because: string): void {
    const { ports } = this.#core;
    this.#state = 'split';
    this.because = because;
    this.#apart = because;
    ports.tell({ kind: 'mirror.split', because });
    if (this.link !== 0) this.drop(because, true);
    else ports.dropLink(because, true);
  }

  #together(peer: CopyState): void {
    const core = this.#core;
    if (core.role === 'primary') {
      this.#state = 'mirroring';
      return core.standing.meet(peer.bootId, () => {
        core.stream.start();
        this.mirroring();
      });
    }
    core.save({
      disk: 'UpToDate',
      peer: { ...core.sb.peer, bootId: peer.bootId, disk: 'UpToDate', bitmapBase: { epoch: 0, counter: 0, random: 0 } },
    });
    return this.mirroring();
  }

  #refusedAsStale(maxEpochSeen: number): void {
    const core = this.#core;
    if (core.role === 'primary' && maxEpochSeen > core.epoch) core.fence(maxEpochSeen, `the peer has seen epoch ${maxEpochSeen}`);
    if (maxEpochSeen > core.sb.maxEpochSeen) core.save({ maxEpochSeen });
    this.#state = 'refused';
    this.drop(`refused: epoch ${maxEpochSeen} exists`);
  }

  #peerFailed(because: string): void {
    this.#core.ports.tell({ kind: 'mirror.peer-failed', because });
    this.drop(`the disk of the peer failed: ${because}`);
    this.#core.standing.missed();
  }
}
