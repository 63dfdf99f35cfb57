// The mirror's engine: puts its parts together behind the door of ports.ts. One thread, no clock, no I/O: what happens next follows
// from what was told, so a test can tell it anything.
import { Activity } from './activity.js';
import { Answers } from './answers.js';
import { Applier } from './applier.js';
import { Core } from './core.js';
import { Flushes } from './flushes.js';
import { Look } from './look.js';
import type { Engine, EngineParts } from './ports.js';
import { Promotion } from './promotion.js';
import { ResyncSource } from './resync-source.js';
import { ResyncTarget } from './resync-target.js';
import { Rounds } from './rounds.js';
import { Session } from './session.js';
import { Standing } from './standing.js';
import { Stream } from './stream.js';
import { Verify } from './verify.js';
import { viewOf } from './view.js';
import { WritePath } from './write-path.js';

const PLAIN = { fua: false, mayPunch: false } as const;

/** The engine of one copy. `extentBytes`: of the activity log, where it is not the usual. */
export const createEngine = (parts: EngineParts, extentBytes?: number): Engine => {
  const core = new Core(parts, extentBytes);
  core.writes = new WritePath(core);
  core.answers = new Answers(core);
  core.stream = new Stream(core);
  core.source = new ResyncSource(core);
  core.rounds = new Rounds(core);
  core.flushes = new Flushes(core);
  core.activity = new Activity(core);
  core.applier = new Applier(core);
  core.standing = new Standing(core);
  core.target = new ResyncTarget(core);
  core.verify = new Verify(core);
  core.promotion = new Promotion(core);
  core.session = new Session(core);
  core.look = new Look(core);
  return engineOver(core);
};

const engineOver = (core: Core): Engine => ({
  read: (into, offset, done) => core.writes.submit('read', offset, offset + into.length, into, PLAIN, done),
  write: (bytes, offset, fua, done) =>
    core.writes.submit('write', offset, offset + bytes.length, bytes, fua ? { fua, mayPunch: false } : PLAIN, done),
  zero: (offset, length, mayPunch, fua, done) => core.writes.submit('zero', offset, offset + length, null, { fua, mayPunch }, done),
  trim: (offset, length, fua, done) => core.writes.submit('trim', offset, offset + length, null, { fua, mayPunch: true }, done),
  flush: (done) => core.writes.flush(done),
  linkUp: (generation) => core.session.linkUp(generation),
  linkDown: (generation, because) => core.session.linkDown(generation, because),
  frame: (generation, frame) => core.session.frame(generation, frame),
  tick: (nowMs) => {
    core.nowMs = nowMs;
    core.activity.tick();
    core.look.tick();
    core.session.tick();
    core.standing.tick();
    core.flushes.tick();
    core.source.tick();
    core.target.tick();
    core.verify.tick();
    core.promotion.tick();
    core.answers.tick();
  },
  promote: (epoch, { force }, answer) => core.promotion.promote(epoch, force, answer),
  demote: (answer) => core.promotion.demote(answer),
  freeze: (because) => core.freeze(because),
  pause: () => {
    core.source.paused = true;
  },
  resume: () => {
    core.source.resume();
    if (core.session.state === 'split' || core.session.state === 'refused') core.ports.reconnect();
  },
  resync: (kind, answer) => answer(core.source.order(kind)),
  verify: ({ repair }, answer) => core.verify.begin(repair, answer),
  resolveAsVictim: (answer) => {
    if (core.role === 'primary') return answer('a primary gives nothing up: demote it first');
    if (core.session.state !== 'split') return answer(`there is nothing to resolve: the connection is ${core.session.state}`);
    core.victim = true;
    core.ports.reconnect();
    return answer(null);
  },
  look: (answer) => core.look.begin(answer),
  view: () => viewOf(core),
});
