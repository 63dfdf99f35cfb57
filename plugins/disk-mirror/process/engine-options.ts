// The resource's options as the engine takes them.
import type { ProcessContext } from 'understudy/plugin';
import type { DiskMirrorOptions } from '../agent/definition.js';
import type { EngineOptions } from '../engine/ports.js';

/** What a resync's target may have in memory of what the application goes on writing. */
const TARGET_LAG_BYTES = 4 * 1024 * 1024;

type Context = Pick<ProcessContext<DiskMirrorOptions>, 'node' | 'bootId' | 'options'>;

export const engineOptions = ({ node, bootId, options }: Context, peer: string): EngineOptions => ({
  node,
  peer,
  bootId,
  mode: options.mode,
  order: options.order,
  peerTimeoutMs: options.peerTimeout,
  async: { maxLagBytes: options.maxLag, maxLagMs: options.maxLagTime, full: options.whenFull },
  targetLagBytes: TARGET_LAG_BYTES,
  resync: { minBytesPerSecond: options.resyncMin, maxBytesPerSecond: options.resyncMax, targetLatencyMs: options.resyncLatency },
  flushEveryMs: options.flushEvery,
});
