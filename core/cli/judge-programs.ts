// Which programs of the config root would refuse to run on this host, found by `check` and not only when they are needed: hooks,
// the commands of agents, fence agents. The rules are core/system/trusted-program; what counts as one is the plugin's to say.
import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type NodeId, resourceName } from '../model/ids.js';
import { distrustOf, trustOf } from '../system/trusted-program.js';
import type { LoadedConfig } from './load-config.js';

export interface JudgedPrograms {
  /** They would be refused by the daemons. */
  readonly refused: readonly string[];
  /** Not there (yet), or this installation itself. */
  readonly doubtful: readonly string[];
}

/** Of this package, run by the guard and the leash: as trustworthy as the program that reads this. */
const OWN = fileURLToPath(new URL('../guard/emergency-stop.sh', import.meta.url));

/** For a process of root on a POSIX system; elsewhere no rule applies and nothing is found. */
export const judgePrograms = async (loaded: LoadedConfig, node: NodeId, env: NodeJS.ProcessEnv = process.env): Promise<JudgedPrograms> => {
  if (process.geteuid?.() !== 0) return { refused: [], doubtful: [] };
  const refused: string[] = [];
  const doubtful: string[] = [];
  const trust = trustOf(env);
  for (const { what, program } of await programsOf(loaded, node)) {
    if (!isAbsolute(program)) continue; // Found on the PATH, and judged there when it is run.
    if (!existsSync(program)) doubtful.push(`${what}: ${program} is not on this host`);
    else {
      const why = distrustOf(program, trust);
      if (why !== null) refused.push(`${what}: ${program} is not run as root: ${why}`);
    }
  }
  const own = distrustOf(OWN, trust);
  if (own !== null) doubtful.push(`this installation can be changed by others than root: ${own}`);
  return { refused, doubtful };
};

interface Named {
  readonly what: string;
  readonly program: string;
}

const programsOf = async ({ config, registry, desiredOf }: LoadedConfig, node: NodeId): Promise<readonly Named[]> => {
  const ofGroups = desiredOf(node).groups.flatMap((group) => [
    ...group.hooks.flatMap(({ run, point, platform }) =>
      run.kind === 'script' && (platform === 'any' || platform === process.platform)
        ? run.argv.slice(0, 1).map((program) => ({ what: `${point} hook of ${group.id}`, program }))
        : [],
    ),
    ...group.resources.flatMap((resource) =>
      (registry.agent(resource.type)?.programs?.(resource.options) ?? []).map((program) => ({
        what: resourceName(group.id, resource.id),
        program,
      })),
    ),
  ]);
  const ofFences = await Promise.all(
    config.fencing.levels.flat().map(async (device) => {
      const fence = await registry.fence(device.use);
      const options = fence?.options.safeParse(device.options);
      return options?.success === true
        ? (fence?.programs?.(options.data) ?? []).map((program) => ({ what: `fence ${device.use}`, program }))
        : [];
    }),
  );
  return [...ofGroups, ...ofFences.flat()];
};
