// understudy permissions: the least rights that the config's resources, its arbiter and its fences need outside the host, each with
// its reason.
import type { Command } from 'commander';
import { nodeOf } from '../../daemon/options.js';
import type { NodeId } from '../../model/ids.js';
import { loadConfig } from '../load-config.js';
import { print, printJson } from '../output.js';

export const define = (command: Command): void => {
  command
    .option('--config <file>', 'the config file')
    .option('--node <id>', 'of this node alone')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: understudy permissions --node a')
    .action(async (options: { config?: string; node?: string; json?: boolean }) => {
      const { config, registry, desiredOf } = await loadConfig(options.config);
      const { use } = config.arbiter;
      const arbiter = await registry.arbiter(use);
      const parsed = arbiter?.options.safeParse(config.arbiter.options);
      const ofArbiter = parsed?.success === true ? (arbiter?.permissions?.(parsed.data, { cluster: config.cluster }) ?? []) : [];
      const fences = await Promise.all(
        config.fencing.levels.flat().map(async (device) => {
          const fence = await registry.fence(device.use);
          const checked = fence?.options.safeParse(device.options);
          return (node: NodeId) => {
            const targets = config.nodes.map(({ id }) => id).filter((id) => id !== node && (device.nodes?.includes(id) ?? true));
            const rights =
              checked?.success === true && targets.length > 0 ? (fence?.permissions?.(checked.data, { node, targets }) ?? []) : [];
            return rights.map((statement) => ({ node, resource: `fence ${device.use}`, ...statement }));
          };
        }),
      );
      const nodes = options.node === undefined ? config.nodes.map(({ id }) => id) : [nodeOf(config, { node: options.node })];
      const statements = nodes.flatMap((node) => [
        ...fences.flatMap((ofNode) => ofNode(node)),
        ...ofArbiter.map((statement) => ({ node, resource: `arbiter ${use}`, ...statement })),
        ...desiredOf(node).groups.flatMap((group) =>
          group.resources.flatMap((resource) =>
            (registry.agent(resource.type)?.permissions?.(resource.options, { node }) ?? []).map((statement) => ({
              node,
              resource: `${group.id}/${resource.id}`,
              ...statement,
            })),
          ),
        ),
      ]);
      if (options.json) return printJson(statements);
      if (statements.length === 0) print('the resources, the arbiter and the fences of this config need no rights outside the host');
      for (const { node, resource, actions, resources, conditions = {}, why } of statements) {
        print(`${resource} on ${node}: ${why}`);
        for (const action of actions) print(`  ${action}`);
        for (const on of resources) print(`    on ${on}`);
        for (const [operator, keys] of Object.entries(conditions))
          for (const [key, values] of Object.entries(keys)) print(`    only where ${key} is ${values.join(' or ')} (${operator})`);
      }
    });
};
