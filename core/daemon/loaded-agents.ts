// The agents of all resource types that the config uses, loaded and built before the first cycle: no start waits for an
// import. One that cannot be loaded is known with the reason; only its own resources suffer.
import { reasonOf } from '../errors/errors.js';
import type { DesiredState } from '../model/desired.js';
import type { Agent } from '../plugin/contract.js';
import type { Registry } from '../plugin/registry.js';
import type { Agents } from '../scheduler/ports.js';

/** Never rejects. */
export const loadAgents = async (registry: Registry, desired: DesiredState): Promise<Agents> => {
  const types = [...new Set(desired.groups.flatMap(({ resources }) => resources.map(({ type }) => type)))];
  const loaded = new Map<string, Agent | { readonly unusable: string }>();
  await Promise.all(
    types.map(async (type) => {
      try {
        loaded.set(type, await registry.instance(type));
      } catch (error) {
        loaded.set(type, { unusable: `${type} cannot be used: ${reasonOf(error)}` });
      }
    }),
  );
  return {
    definition: (type) => registry.agent(type),
    agent: (type) => loaded.get(type) ?? { unusable: `no resource of the config uses ${type}` },
  };
};
