// The public door `understudy/testkit`: contract suites and doubles for authors of plugins.
import 'reflect-metadata';
export { FakeClock } from './fake-clock.js';
export { MemoryArbiter, type MemoryArbiterOptions, type MemoryFaults, MemoryStore } from './memory-arbiter.js';
export { agentContract, type AgentUnderTest, type ContractAssertions, type ContractTest } from './agent-contract.js';
export { makeActionContext, type MakeContextOptions, makeMonitorContext, monitorOnce, silentLog } from './contexts.js';
export { arbiterContract } from './arbiter-contract.js';
export type { ArbiterFaults, ArbiterUnderTest } from './arbiter-asking.js';
export { objectionTo, type RecordedCall } from './arbiter-history.js';
export { fenceContract, type FenceBehaviour, type FenceUnderTest } from './fence-contract.js';
