// Carries out what the ownership machine wants, in its order, and brings the answers back as events. Nothing here decides;
// nothing on the way from a suspicion to HELD is awaited but the arbiter (and the watchdog, beside it).
import type { BootId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { NewEvent } from '../model/event.js';
import type { InSyncAnswer } from '../model/lease.js';
import { reasonOf } from '../errors/errors.js';
import type { Heartbeats } from '../membership/contract.js';
import type { OwnershipEffect } from '../ownership/events.js';
import type { Clock } from '../system/clock.js';
import type { ArbiterDesk, CasAnswer } from './arbiter-desk.js';
import type { DogKeeper } from './dog-keeper.js';
import type { GuardStore } from './guard-store.js';
import type { HardStop } from './hard-stop.js';
import type { LastWord } from './last-word.js';
import type { Happening } from './owner.js';
import type { PageDesk } from './page-desk.js';

export interface PerformOptions {
  readonly clock: Clock;
  readonly bootId: BootId;
  readonly desk: ArbiterDesk;
  readonly dog: DogKeeper;
  readonly pages: PageDesk;
  readonly store: GuardStore;
  readonly hardStop: HardStop;
  readonly lastWord: LastWord;
  readonly heartbeats: Heartbeats;
  readonly stopBudgetMs: number;
  readonly dispatch: (group: GroupId, happening: Happening) => void;
  readonly keepOrders: (group: GroupId, orders: Parameters<GuardStore['keepGroupOrders']>[1]) => void;
  readonly answerInSync: (askId: number, answer: InSyncAnswer) => void;
  readonly tell: (event: NewEvent) => void;
  /** Looks now at what stands against acquiring on this host. */
  readonly checkGate: () => void;
  /** This host is not fit to hold anything; said again with every failure. */
  readonly unfit: (because: string) => void;
  /** Nothing but a reset of the host helps. */
  readonly resetHost: (because: string) => void;
}

/** A nudge is said so often, so far apart: one lost packet must not cost a poll (SAFETY a.7). */
const NUDGES = 3;
const NUDGE_EVERY_MS = 20;

export const perform = (options: PerformOptions, group: GroupId, effect: OwnershipEffect): void => {
  const { desk, pages, store, heartbeats, dispatch, tell } = options;
  switch (effect.kind) {
    case 'read':
      return desk.read(group, (read) => {
        if ('failed' in read)
          return dispatch(group, { kind: 'read-failed', readId: effect.readId, because: read.failed, refused: read.refused });
        if (!('invalid' in read.orders)) options.keepOrders(group, read.orders.group);
        return dispatch(group, { kind: 'read-done', readId: effect.readId, ...read });
      });
    case 'cas':
      return cas(options, group, effect);
    case 'write-page':
      return writePage(options, group, effect);
    case 'persist-phase':
      if (effect.phase === 'fencing-self') store.keepDead(group, { bootId: options.bootId, epoch: effect.epoch });
      return attempt(options, group, 'the phase file', () => pages.writePhase(group, effect.epoch, effect.phase, effect.members));
    case 'persist-max-epoch':
      return store.raiseEpoch(group, effect.epoch);
    case 'verify-stopped':
      void verifyReleased(options, group, effect.epoch).then((result) =>
        dispatch(group, { kind: 'stop-verified', epoch: effect.epoch, ...result }),
      );
      return undefined;
    case 'hard-stop':
      void stopAndVerify(options, group, effect).then((result) => {
        // What stands against acquiring anew must be known before the old epoch is over.
        options.checkGate();
        dispatch(group, { kind: 'hard-stopped', epoch: effect.epoch, ...result });
      });
      return undefined;
    case 'reset-host':
      options.dog.wantReset();
      return options.resetHost(`${group}: ${effect.because}`);
    case 'beat':
      return heartbeats.beatNow();
    case 'ask': {
      const { to, epoch, round, waitMs } = effect;
      for (const node of to) heartbeats.send(node, { kind: 'ask', group, epoch, round, waitMs });
      return undefined;
    }
    case 'please-stop':
      return heartbeats.send(effect.to, { kind: 'please-stop', group, epoch: effect.epoch });
    case 'grant':
      return grant(options, group, effect);
    case 'refuse': {
      const { to, epoch, round, knows, because } = effect;
      return heartbeats.send(to, { kind: 'refuse', group, epoch, round, knows, because });
    }
    case 'nudge':
      return nudge(options, group, effect.to, effect.epoch, NUDGES);
    case 'in-sync-answer':
      return options.answerInSync(effect.askId, effect.answer);
    case 'journal':
      return tell({
        kind: effect.event,
        group,
        epoch: effect.epoch,
        because: effect.because,
        ...(effect.data === undefined ? {} : { data: effect.data }),
      });
    default:
      return effect satisfies never;
  }
};

const cas = (options: PerformOptions, group: GroupId, { attempt: sent, timeoutMs }: Extract<OwnershipEffect, { kind: 'cas' }>): void => {
  const { desk, dog, pages, dispatch } = options;
  if (sent.purpose === 'renew' && pages.leashFired(group, sent.record.epoch) !== 'no')
    return dispatch(group, { kind: 'tombstone', epoch: sent.record.epoch });
  const tell = (answer: CasAnswer) => {
    if (answer.kind === 'done') return dispatch(group, { kind: 'cas-done', attemptId: sent.id, version: answer.version });
    if (answer.kind === 'conflict') return dispatch(group, { kind: 'cas-conflict', attemptId: sent.id, found: answer.found });
    return dispatch(group, { kind: 'cas-unknown', attemptId: sent.id, because: answer.because, refused: answer.refused });
  };
  if (sent.purpose !== 'acquire') return desk.cas(group, sent, timeoutMs, tell);
  // The watchdog is armed while the store decides: HELD is said only with both.
  const armed = dog.arm();
  return desk.cas(group, sent, timeoutMs, (answer) => {
    void armed.then((yes) => {
      dispatch(group, { kind: 'dog', armed: yes });
      tell(answer);
    });
  });
};

const writePage = (options: PerformOptions, group: GroupId, effect: Extract<OwnershipEffect, { kind: 'write-page' }>): void => {
  const { pages, dispatch } = options;
  attempt(options, group, 'the lease page', () => pages.write(group, effect));
  if (effect.state === 'HELD' && pages.leashFired(group, effect.epoch) !== 'no')
    dispatch(group, { kind: 'tombstone', epoch: effect.epoch });
};

/** Written down before it is said: the next guard of this boot keeps it too. What cannot be written is not promised. */
const grant = (
  { pages, heartbeats, tell }: PerformOptions,
  group: GroupId,
  { promise, round, sees }: Extract<OwnershipEffect, { kind: 'grant' }>,
): void => {
  const { to, epoch } = promise;
  try {
    pages.writePromise(group, promise);
  } catch (error) {
    return tell({
      kind: 'guard.file-failed',
      group,
      because: `a promise to ${to} was not given: it cannot be written: ${reasonOf(error)}`,
    });
  }
  heartbeats.send(to, { kind: 'grant', group, epoch, round, sees });
};

/** Without its files this node cannot be believed: what it holds is given up. */
const attempt = ({ dispatch, tell, unfit }: PerformOptions, group: GroupId, what: string, write: () => void): void => {
  try {
    write();
  } catch (error) {
    const because = `${what} cannot be written: ${reasonOf(error)}`;
    tell({ kind: 'guard.file-failed', group, because });
    unfit(because);
    dispatch(group, { kind: 'give-up', because });
  }
};

/** Stops, then looks again with the same eyes that look before a release. */
const stopAndVerify = async (
  { hardStop, pages, lastWord }: PerformOptions,
  group: GroupId,
  { epoch, limitMs }: Extract<OwnershipEffect, { kind: 'hard-stop' }>,
) => {
  // What could not be said before is said now if it can be: else the controller starts again what is being stopped.
  pages.stillHeldMs(group);
  const stopped = await hardStop.stop(group, limitMs);
  if (!stopped.verified) return stopped;
  const stillMs = pages.stillHeldMs(group);
  if (stillMs > 0)
    return {
      verified: false,
      because: `the lease page cannot be written and says HELD for ${Math.ceil(stillMs)} ms more: what is stopped may be started again`,
    };
  // Last: what it began before its last word is there to be seen now.
  await lastWord.settle(group, epoch);
  return hardStop.verify(group, limitMs);
};

const verifyReleased = async ({ hardStop, lastWord, stopBudgetMs }: PerformOptions, group: GroupId, epoch: Epoch) =>
  (await lastWord.answers(group, epoch))
    ? hardStop.verify(group, stopBudgetMs)
    : { verified: false, because: 'the controller, which wants to give it back, does not answer' };

const nudge = (options: PerformOptions, group: GroupId, to: NodeId | 'all', epoch: Epoch, left: number): void => {
  options.heartbeats.send(to, { kind: 'nudge', group, epoch });
  if (left > 1) options.clock.after(NUDGE_EVERY_MS, () => nudge(options, group, to, epoch, left - 1), { idle: true });
};
