// How a copy becomes primary and stops being it (SAFETY a.11, b.4, W7). Nothing is served before: the epoch is durable, what the
// old primary sent has been carried out or refused, both copies are settled or the peer is out of the record, and the superblock
// says Primary in both of its copies. A demote leaves everything flushed and said.
import { isNoGeneration } from '../words.js';
import type { Core } from './core.js';
import type { InSyncAnswer } from './ports.js';

interface Promoting {
  readonly epoch: number;
  readonly force: boolean;
  readonly answer: (refused: string | null) => void;
  readonly sinceMs: number;
  /** The peer was met as a secondary: neither has what the other lacks. */
  even: boolean;
  step: 'learning' | 'settling' | 'removing' | 'draining' | 'writing';
}

interface Demoting {
  readonly answers: ((refused: string | null) => void)[];
  sinceMs: number;
  step: 'ending' | 'flushing' | 'flushing-here' | 'writing';
}

export class Promotion {
  readonly #core: Core;
  #promoting: Promoting | null = null;
  #demoting: Demoting | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  get pending(): boolean {
    return this.#promoting !== null;
  }

  promote(epoch: number, force: boolean, answer: (refused: string | null) => void): void {
    const core = this.#core;
    if (core.role === 'primary' && core.epoch === epoch && core.serving && !core.stopped) return answer(null);
    const refused = this.#refusal(epoch, force);
    if (refused !== null) return answer(refused);
    this.#promoting = { epoch, force, answer, sinceMs: core.nowMs, even: false, step: 'learning' };
    const promoting = this.#promoting;
    const learnt = () => {
      if (this.#promoting !== promoting) return;
      promoting.step = 'settling';
      if (this.#settles() && core.session.state === 'mirroring') core.session.restart('about to be promoted');
      this.#settle();
    };
    if (epoch > core.sb.maxEpochSeen) core.save({ maxEpochSeen: epoch }, learnt);
    else learnt();
    return undefined;
  }

  demote(answer: (refused: string | null) => void): void {
    const core = this.#core;
    if (this.#promoting !== null) return answer('it is being promoted');
    if (core.role === 'secondary') {
      core.frozen = null;
      return answer(null);
    }
    if (this.#demoting !== null) return void this.#demoting.answers.push(answer);
    core.serving = false;
    this.#demoting = { answers: [answer], sinceMs: core.nowMs, step: 'ending' };
    return this.idle();
  }

  /** The two copies are one, or a session has come to where it stays. */
  settled(): void {
    this.#settle();
  }

  peerGone(): void {
    this.#settle();
    if (this.#demoting?.step === 'flushing') this.#flushHere(this.#demoting);
  }

  /** No request of the application is under way. */
  idle(): void {
    const demoting = this.#demoting;
    const core = this.#core;
    if (demoting === null || demoting.step !== 'ending' || core.writes.underWay > 0) return;
    if (!core.standing.counted || core.failed !== null) return this.#flushHere(demoting);
    demoting.step = 'flushing';
    demoting.sinceMs = core.nowMs;
    core.flushes.both(() => demoting.step === 'flushing' && this.#writeDemoted(demoting));
  }

  tick(): void {
    this.#settle();
    const demoting = this.#demoting;
    if (demoting?.step === 'flushing' && this.#core.nowMs - demoting.sinceMs > this.#core.options.peerTimeoutMs) this.#flushHere(demoting);
  }

  #refusal(epoch: number, force: boolean): string | null {
    const { role, frozen, failed, sb, ports, target, options, applier, bits, session } = this.#core;
    if (this.#promoting !== null) return 'it is being promoted already';
    if (role === 'primary') return `it is primary of epoch ${this.#core.epoch}: demote it first`;
    if (failed !== null) return `the copy has failed: ${failed}`;
    if (frozen !== null) return `frozen: ${frozen}: demote it first`;
    const lease = ports.lease();
    if (lease.state !== 'held' || lease.epoch !== epoch)
      return `the lease page says ${lease.state}, epoch ${lease.epoch}, not held of epoch ${epoch}`;
    if (epoch < sb.maxEpochSeen) return `epoch ${sb.maxEpochSeen} has been seen, ${epoch} is over`;
    // The same epoch as seen is our own: it has one holder, and an attempt that was cut off has left it here and with the peer.
    if (session.peer?.role === 'primary' && session.peer.primaryEpoch >= epoch)
      return `the peer serves under epoch ${session.peer.primaryEpoch}`;
    if (isNoGeneration(sb.current)) return force ? null : 'the copy never had data: the first promotion is by force';
    if (sb.disk === 'Inconsistent' && !target.active) return 'the copy is Inconsistent: the target of a resync that did not end';
    if (force) return null;
    if (sb.disk !== 'UpToDate' && sb.disk !== 'Consistent' && sb.disk !== 'Inconsistent') return `the copy is ${sb.disk}`;
    if (!lease.selfInSync) return 'the record does not call this copy in sync';
    // In semi-sync a standby whose process died may lack what it had only received, and answered for.
    if (options.mode === 'semi-sync' && sb.disk === 'Consistent' && sb.primaryEpoch < sb.maxEpochSeen && !target.active)
      return 'it was started anew since it last met the primary, and may lack what it had received';
    if (target.active && bits.count() === 0) return 'the copy is being written over by a resync';
    const { maxLagMs } = options.async;
    if (options.mode === 'async' && applier.unflushedAtLossMs > maxLagMs) return `the last barrier was ${applier.unflushedAtLossMs} ms old`;
    return null;
  }

  /** W7: bits are set and the record calls the peer in sync. */
  #settles(): boolean {
    return this.#core.bits.count() > 0 && this.#core.ports.lease().peerInSync;
  }

  /** Waits for a resync that makes both one; without a peer, or as its source, the peer leaves the record first. */
  #settle(): void {
    const promoting = this.#promoting;
    const core = this.#core;
    if (promoting === null || promoting.step !== 'settling') return;
    const { session, target, source } = core;
    if (target.active) return;
    if (core.sb.disk === 'Inconsistent') return this.#refuse('the resync of this copy did not end');
    if (!this.#settles() || session.state === 'mirroring') return this.#drain(promoting);
    const waits = core.nowMs - promoting.sinceMs <= core.options.peerTimeoutMs;
    const open = session.state === 'split' || session.state === 'refused' || source.step !== 'idle';
    if (waits && !open) return;
    promoting.step = 'removing';
    const answered = (answer: InSyncAnswer) => {
      if (this.#promoting !== promoting) return;
      if (answer.kind === 'ok') this.#drain(promoting);
      else this.#refuse(`the peer cannot be asked out of the record: ${answer.because}`);
    };
    core.ports.inSync('remove', core.sb.current, answered, core.sb.peer.bootId);
  }

  /** Nothing of the old primary is answered any more; what it sent is carried out. */
  #drain(promoting: Promoting): void {
    const core = this.#core;
    promoting.step = 'draining';
    const { session } = core;
    promoting.even = session.state === 'mirroring' && session.peer?.role === 'secondary';
    core.session.suspend('being promoted');
    core.applier.whenIdle(() => this.#promoting === promoting && this.#write(promoting));
  }

  #write(promoting: Promoting): void {
    const core = this.#core;
    const { epoch, force } = promoting;
    promoting.step = 'writing';
    const lost = this.#lostMeanwhile(promoting);
    if (lost !== null) return this.#refuse(lost);
    core.epoch = epoch;
    promoting.even ||= force;
    const fresh = force ? { ...core.newGeneration(), forced: !isNoGeneration(core.sb.current) } : {};
    core.save({
      ...fresh,
      role: 'primary',
      primaryIndicator: true,
      primaryEpoch: epoch,
      maxEpochSeen: epoch,
      cleanShutdown: false,
      disk: 'UpToDate',
      resync: null,
    });
    // The second copy of the superblock too: no single bad block makes this node forget what it is.
    core.save({}, () => {
      if (this.#promoting !== promoting) return;
      const late = this.#lostMeanwhile(promoting);
      if (late !== null) return this.#refuse(late);
      this.#promoting = null;
      core.role = 'primary';
      core.standing.begin(promoting.even);
      core.serving = true;
      core.ports.tell({
        kind: 'mirror.promoted',
        because: force ? 'by force' : 'the lease is held and this copy is in sync',
        data: { epoch },
      });
      core.session.restart('promoted');
      promoting.answer(null);
    });
    return undefined;
  }

  #lostMeanwhile({ epoch, force }: Promoting): string | null {
    const { ports, frozen, failed, sb } = this.#core;
    const lease = ports.lease();
    if (failed !== null) return `the copy has failed: ${failed}`;
    if (frozen !== null) return `frozen: ${frozen}`;
    if (lease.state !== 'held' || lease.epoch !== epoch) return `the lease of epoch ${epoch} was lost meanwhile`;
    if (sb.maxEpochSeen > epoch) return `epoch ${sb.maxEpochSeen} was seen meanwhile`;
    return force || lease.selfInSync ? null : 'the record does not call this copy in sync any more';
  }

  #refuse(because: string): void {
    const promoting = this.#promoting;
    this.#promoting = null;
    this.#core.session.restart(`not promoted: ${because}`);
    promoting?.answer(because);
  }

  #flushHere(demoting: Demoting): void {
    demoting.step = 'flushing-here';
    this.#core.flushes.here(() => this.#writeDemoted(demoting));
  }

  #writeDemoted(demoting: Demoting): void {
    const core = this.#core;
    demoting.step = 'writing';
    if (core.failed !== null) return this.#demoted(demoting, `the copy has failed: ${core.failed}`);
    core.ports.metadata.checkpoint((error) => {
      if (error !== null) core.fail(`the bitmap cannot be written: ${error.message}`);
      if (core.failed !== null) return this.#demoted(demoting, `the copy has failed: ${core.failed}`);
      return core.save({ role: 'secondary', primaryIndicator: false, cleanShutdown: true }, () => this.#demoted(demoting, null));
    });
    return undefined;
  }

  #demoted({ answers }: Demoting, refused: string | null): void {
    const core = this.#core;
    this.#demoting = null;
    core.role = 'secondary';
    core.epoch = 0;
    core.frozen = null;
    core.ports.tell({ kind: 'mirror.demoted', because: refused ?? 'flushed and clean' });
    core.session.restart('demoted');
    for (const answer of answers) answer(refused);
  }
}
