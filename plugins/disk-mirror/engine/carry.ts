// Which part of the engine a frame concerns. What the sender may say at this moment, the part checks.
import type { Frame } from '../link/frames.js';
import type { Core } from './core.js';

/** Hands a frame of an understanding that stands to whom it concerns. */
export const carry = (core: Core, frame: Frame): void => {
  const { applier, stream, flushes, source, target, verify, standing, session } = core;
  switch (frame.t) {
    case 'write':
    case 'zero':
    case 'trim':
    case 'sync-data':
    case 'sync-zero':
    case 'hash':
      return core.role === 'primary' ? session.drop(`a ${frame.t} for a primary`) : applier.take(frame);
    case 'flush':
      return applier.flush(frame.seq);
    case 'received':
      return stream.received(frame.seq);
    case 'applied':
      stream.applied(frame.seq);
      return standing.lagChanged();
    case 'flushed':
      stream.applied(frame.seq);
      flushes.flushed(frame.seq);
      return standing.lagChanged();
    case 'bitmap':
      return source.merge(frame);
    case 'sync-begin':
      return target.begin(frame);
    case 'sync-ready':
      return source.ready();
    case 'sync-done':
      return source.done(frame.id);
    case 'hash-answer':
      return verify.owns(frame.id) ? verify.answer(frame.id, frame.same) : source.compared(frame.id, frame.same);
    case 'sync-end':
      return target.end(frame);
    case 'sync-ended':
      return source.ended();
    case 'outdate':
      return target.outdate(frame.id);
    case 'outdated':
      return undefined;
    // The session keeps the first ones to itself; nobody asks for bytes in this version.
    case 'hello':
    case 'decision':
    case 'refuse-stale':
    case 'failed':
    case 'read':
    case 'read-data':
      return session.drop(`a frame that is not spoken here: ${frame.t}`);
  }
};
