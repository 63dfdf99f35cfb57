// One life of a controller on a simulated node: the real scheduler, planner, hooks, link and orders, put together as the
// process on a host does (core/daemon/controller-core), with the simulated host behind every door. Its end is the end of
// its process: the object graph is dropped, and what is left of it can do nothing.
import 'reflect-metadata';
import { container as root, type DependencyContainer } from 'tsyringe';
import { Orders } from '../api/orders.js';
import type { OrderAnswer, OrderRequest } from '../api/views.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import { beginController, type ControllerParts, provideController } from '../daemon/controller-core.js';
import { UnderstudyError } from '../errors/errors.js';
import { GuardClient } from '../guard/client.js';
import type { Journal } from '../journal/journal.js';
import type { LinkNetwork } from '../link/network.js';
import type { DesiredState } from '../model/desired.js';
import type { NewEvent } from '../model/event.js';
import type { Agent, AgentDefinition } from '../plugin/contract.js';
import { Cycle, type LastCycle } from '../scheduler/cycle.js';
import type { HookSource } from '../scheduler/hooks.js';
import { type Agents, Fence, type Logs } from '../scheduler/ports.js';
import { Addresses } from '../system/addresses.js';
import { Cgroups } from '../system/cgroup.js';
import { Clock } from '../system/clock.js';
import { Exec, type RunResult } from '../system/exec.js';
import { Files } from '../system/files.js';
import { guardSocket } from '../system/paths.js';
import { Random } from '../system/random.js';
import { SimAgent, simDefinition, type SimResources } from './sim-agent.js';
import type { SimProcess } from './sim-process.js';

export interface SimControllerOptions {
  readonly config: ClusterConfig;
  readonly desired: DesiredState;
  readonly resources: SimResources;
  readonly links: LinkNetwork;
  readonly fence: Fence;
  readonly hooks?: HookSource;
  /** Every event of its journal. */
  readonly journal: (event: NewEvent & { readonly monoMs: number }) => void;
}

export interface SimController {
  /** Its connection to the guard. */
  readonly guard: GuardClient;
  /** As an operator's command on this node: checked, asked, recorded. Rejects as the API does; never settles after its death. */
  give(order: OrderRequest): Promise<OrderAnswer>;
  /** What its last cycle saw and decided. */
  readonly last: LastCycle | null;
}

/** Begins a controller in this process; it may be killed at any event from now on. */
export const startSimController = async (process: SimProcess, options: SimControllerOptions): Promise<SimController> => {
  const container = root.createChildContainer();
  registerDoors(container, process, options.fence);
  const parts = partsOf(process, options);
  provideController(container, parts);
  const cycle = container.resolve(Cycle);
  const orders = container.resolve(Orders);
  await beginController(container, parts);
  return {
    guard: parts.guard,
    give: (order) => orders.give(order),
    get last() {
      return cycle.last;
    },
  };
};

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const LOGS: Logs = { child: () => SILENT };
const NO_HOOKS: HookSource = { hooks: () => [] };

const partsOf = (process: SimProcess, options: SimControllerOptions): ControllerParts => {
  const { node, clock, pid } = process;
  const { config, desired, resources } = options;
  const { bootId, paths } = node;
  return {
    config,
    node: node.id,
    bootId,
    platform: 'linux',
    paths,
    pid,
    clock,
    files: node.disk.forProcess(process),
    pageClocks: { bootId, monoNs: () => BigInt(Math.round(clock.nowMs() * 1e6)), bootOffsetMs: () => node.bootOffsetMs() },
    journal: journalOf(process, options.journal),
    logs: LOGS,
    guard: new GuardClient({
      sockets: node.sockets.forProcess(process),
      path: guardSocket(paths),
      clock,
      role: 'controller',
      pid,
      startTime: String(process.bornMs),
    }),
    desired: { desired: () => desired },
    agents: agentsOf(process, resources),
    hooks: options.hooks ?? NO_HOOKS,
    captures: { keep: () => undefined },
    network: options.links,
  };
};

const journalOf = (process: SimProcess, told: SimControllerOptions['journal']): Journal => ({
  write: (event) => {
    if (process.alive) told({ ...event, monoMs: event.monoMs ?? process.clock.nowMs() });
  },
  sync: () => process.clock.sleep(1),
  close: async () => undefined,
});

const agentsOf = (process: SimProcess, resources: SimResources): Agents => {
  const definitions = new Map<string, AgentDefinition>();
  const agents = new Map<string, Agent>();
  for (const type of resources.types) {
    const kind = resources.kind(type)!;
    definitions.set(type, simDefinition(kind));
    agents.set(type, kind.real?.agent(process) ?? new SimAgent(process, resources, type));
  }
  return {
    definition: (type) => definitions.get(type),
    agent: (type) => agents.get(type) ?? { unusable: `nothing simulates ${type}` },
  };
};

/** How long a hook's command takes. */
const HOOK_MS = 20;

const registerDoors = (container: DependencyContainer, process: SimProcess, fence: Fence): void => {
  const { clock, chance, node } = process;
  const provide = <T>(token: symbol, value: T) => container.register<T>(token, { useValue: value });
  provide<Clock>(Clock, clock);
  provide<Random>(Random, chance);
  provide<Files>(Files, node.disk.forProcess(process));
  provide<Fence>(Fence, fence);
  provide<Exec>(Exec, {
    run: async (_file, _args, { signal, timeoutMs }) => {
      const beganMs = clock.nowMs();
      await clock.sleep(Math.min(HOOK_MS, timeoutMs), signal);
      return { ...DONE, elapsedMs: clock.nowMs() - beganMs };
    },
    start: (file) =>
      Promise.reject(new UnderstudyError('COMMAND_FAILED', `${file} is not there: nothing goes on running in a simulated host`)),
  });
  provide<Cgroups>(Cgroups, {
    base: '/sim',
    make: (group, resource) => `/sim/${group}/${resource}`,
    remove: () => true,
    populated: () => false,
    members: () => [],
    kill: async () => true,
    keepReady: () => undefined,
    watch: () => () => undefined,
  });
  provide<Addresses>(Addresses, {
    list: async () => [],
    add: async () => undefined,
    remove: async () => undefined,
    announce: async () => undefined,
    watch: () => () => undefined,
    describe: () => '',
    hardStopLine: (name, address) => `addr ${name} ${address}`,
  });
};

const DONE: Omit<RunResult, 'elapsedMs'> = {
  exitCode: 0,
  signal: null,
  stdout: '',
  stderr: '',
  truncated: false,
  timedOut: false,
  aborted: false,
};
