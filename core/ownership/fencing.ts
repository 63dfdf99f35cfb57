// FENCING_SELF (SAFETY a.6): the epoch is dead for ever from its first moment; the group is stopped by the hard-stop list
// and by nothing else, and STOPPED(e) is said only when every trace is verified gone. Not within S: reset the host.
import { type Turn, enter, journal, keepPhase, writePage } from './turn.js';

const RETRY_MS = 100;

/** Begins to stop the group; from here the epoch never acts again. */
export const fenceSelf = (turn: Turn, because: string): void => {
  const { s } = turn;
  // What had to be written could not be: a page that still says HELD would let the next guard take a dead epoch up.
  if (s.fencing !== null) s.fencing = { ...s.fencing, sayAgainMs: s.nowMs + RETRY_MS };
  if (s.phase === 'fencing-self' || s.tenure === null) return;
  s.writing = null;
  s.unresolved = null;
  s.reading = null;
  s.release = null;
  s.failsafe = null;
  s.fencedMembers = [];
  enter(turn, 'fencing-self', because);
  // First of all, the page: from now on nothing starts and nothing is acknowledged.
  writePage(turn, 'STOPPING');
  s.fencing = {
    sinceMs: s.nowMs,
    running: false,
    retryMs: s.nowMs,
    sayAgainMs: Number.POSITIVE_INFINITY,
    resetMs: s.nowMs + s.policy.timing.stopBudgetMs,
  };
  stop(turn);
  keepPhase(turn, s.tenure.epoch, 'fencing-self');
  journal(turn, 'lease.fencing-self', because);
};

/** The hard stop has ended, one way or the other. */
export const hardStopped = (turn: Turn, verified: boolean, because: string): void => {
  const { s } = turn;
  if (s.fencing === null || s.tenure === null) return;
  if (!verified) {
    s.fencing = { ...s.fencing, running: false, retryMs: s.nowMs + RETRY_MS };
    s.because = `the group is not stopped: ${because}`;
    return;
  }
  const { epoch } = s.tenure;
  const tookMs = s.nowMs - s.fencing.sinceMs;
  writePage(turn, 'DEAD');
  s.stoppedEpoch = Math.max(s.stoppedEpoch, epoch);
  s.tenure = null;
  s.fencing = null;
  s.known = { kind: 'unread' };
  s.readWanted = true;
  s.alarms = [];
  enter(turn, 'idle', `epoch ${epoch} is stopped and verified`);
  keepPhase(turn, epoch, 'idle');
  journal(turn, 'lease.stopped', `every trace of epoch ${epoch} is verified gone`, { tookMs }, epoch);
};

/** Time passes while the group is being stopped. */
export const pressOn = (turn: Turn): void => {
  const { s } = turn;
  if (s.fencing === null) return;
  if (s.nowMs >= s.fencing.resetMs) {
    s.fencing = { ...s.fencing, resetMs: s.nowMs + s.policy.timing.stopBudgetMs };
    const because = `the group could not be stopped within ${s.policy.timing.stopBudgetMs} ms`;
    turn.effects.push({ kind: 'reset-host', because });
    journal(turn, 'lease.stop-failed', because);
  }
  if (s.tenure !== null && s.nowMs >= s.fencing.sayAgainMs) {
    s.fencing = { ...s.fencing, sayAgainMs: Number.POSITIVE_INFINITY };
    writePage(turn, 'STOPPING');
    keepPhase(turn, s.tenure.epoch, 'fencing-self');
  }
  if (!s.fencing.running && s.nowMs >= s.fencing.retryMs) stop(turn);
};

const stop = (turn: Turn): void => {
  const { s } = turn;
  if (s.fencing === null || s.tenure === null) return;
  s.fencing = { ...s.fencing, running: true };
  turn.effects.push({ kind: 'hard-stop', epoch: s.tenure.epoch, limitMs: s.policy.timing.stopBudgetMs });
};
