// What people and the agent's monitor are told of the engine. Reads, decides nothing.
import type { Core } from './core.js';
import type { EngineView } from './ports.js';
import type { SessionState } from './session-state.js';

const CONNECTION: Record<SessionState, EngineView['connection']> = {
  down: 'down',
  waiting: 'handshake',
  hello: 'handshake',
  deciding: 'handshake',
  agreeing: 'handshake',
  bitmap: 'connected',
  syncing: 'connected',
  mirroring: 'connected',
  split: 'split',
  refused: 'refused',
};

export const viewOf = (core: Core): EngineView => {
  const { session, standing, answers, stream, bits, sb } = core;
  const primary = core.role === 'primary';
  return {
    role: core.role,
    disk: sb.disk,
    // What it said when it came is what it was then: once both write the same, the own record is the newer word.
    peerDisk: session.state === 'down' || session.state === 'mirroring' ? sb.peer.disk : (session.peer?.disk ?? sb.peer.disk),
    connection: CONNECTION[session.state],
    because: core.failed ?? core.frozen ?? session.because,
    serving: core.serving && !core.stopped,
    suspended: primary && !core.stopped ? (answers.heldBecause ?? standing.suspended) : null,
    dirtyChunks: bits.count(),
    dirtyBytes: bits.count() * core.chunkBytes,
    lagBytes: primary ? stream.lagBytes : 0,
    lagMs: primary ? stream.lagMs : 0,
    resync: resyncOf(core),
    current: sb.current,
    epoch: primary ? core.epoch : sb.maxEpochSeen,
  };
};

const resyncOf = ({ source, target, verify }: Core): EngineView['resync'] => {
  const { paused } = source;
  if (source.step !== 'idle') return { direction: 'source', paused, ...source.progress };
  if (target.active) return { direction: 'target', paused: false, etaMs: null, ...target.progress };
  if (verify.progress !== null) return { kind: 'verify', direction: 'source', etaMs: null, paused: false, ...verify.progress };
  return null;
};
