// What stands for a user's own resource types in a simulation. Known of each is what its agent says of it: an address, a
// process, a copy that is promoted; by the words of its hard-stop list, because those name what it leaves on a host.
import type { DesiredState } from '../model/desired.js';
import type { AgentDefinition } from '../plugin/contract.js';
import type { SimResource } from './sim-agent.js';

/** Milliseconds; how long a real one takes is measured in the lab, not here. */
export interface Durations {
  readonly startMs: number;
  readonly stopMs: number;
}

export const DEFAULT_DURATIONS: Durations = { startMs: 1_000, stopMs: 500 };
const ADDRESS_MS = 20;
const MONITOR_MS = 10;

/** One for each type that the config uses. `agent`: its definition, if a loaded plugin has one. */
export const standFor = (
  desired: DesiredState,
  agent: (type: string) => AgentDefinition | undefined,
  { startMs, stopMs }: Durations,
): ReadonlyMap<string, SimResource> => {
  const kinds = new Map<string, SimResource>();
  for (const group of desired.groups)
    for (const resource of group.resources) {
      const { type, options, operations, promotable } = resource;
      if (kinds.has(type)) continue;
      const lines =
        agent(type)?.hardStop?.({
          options,
          group: group.id,
          resource: resource.id,
          cgroup: `/sim/${group.id}/${resource.id}`,
          runDir: `/run/resources/${group.id}/${resource.id}`,
          addressLine: (name, address, prefix) => `addr ${name} ${address}/${prefix}`,
        }) ?? [];
      const words = new Set(lines.map((line) => line.split(' ', 1)[0]));
      const quick = { startMs: ADDRESS_MS, stopMs: ADDRESS_MS, monitorMs: MONITOR_MS };
      if (operations === 'none') kinds.set(type, { ...quick, shows: null });
      else if (promotable) kinds.set(type, { startMs, stopMs, monitorMs: MONITOR_MS, shows: 'export' });
      else if (words.has('addr') || words.has('table')) kinds.set(type, { ...quick, shows: 'address' });
      else kinds.set(type, { startMs, stopMs, monitorMs: MONITOR_MS, shows: 'process' });
    }
  return kinds;
};
