// Groups with mirrored data: which they are, and what they need (SAFETY a.4, a.10). Pure: what is a mirror is an argument,
// so that the guard, which loads no agent, and the check of the file mean the same.
import { withoutStore } from '../model/no-store.js';
import type { GroupConfig, ResourceConfig } from './cluster-config.js';
import type { ConfigPath } from './problem.js';

type IsMirror = (type: string) => boolean;

export interface MirrorProblem {
  readonly path: ConfigPath;
  readonly message: string;
  readonly hint: string;
}

/** One mirrored volume. `index` counts them in the order of the file: it makes the port. */
export interface Volume {
  readonly group: GroupConfig;
  readonly resource: ResourceConfig;
  readonly index: number;
}

export const volumesOf = (groups: readonly GroupConfig[], isMirror: IsMirror): readonly Volume[] =>
  groups
    .flatMap((group) => group.resources.filter(({ use }) => isMirror(use)).map((resource) => ({ group, resource })))
    .map((volume, index) => ({ ...volume, index }));

/** What stands against mirroring in these groups. */
export const mirrorProblems = (
  config: { readonly groups: readonly GroupConfig[]; readonly arbiter: { readonly use: string } },
  isMirror: IsMirror,
): readonly MirrorProblem[] =>
  config.groups.flatMap((group) => {
    const mirrors = group.resources.filter(({ use }) => isMirror(use));
    const [first, second] = mirrors;
    if (first === undefined) return [];
    const at = (resource: ResourceConfig): ConfigPath => ['groups', group.id, 'resources', resource.id];
    const problems: MirrorProblem[] = [];
    if (group.prefer.length !== 2)
      problems.push({
        path: at(first),
        message: `a mirror has two copies, and ${group.id} has ${group.prefer.length} ${group.prefer.length === 1 ? 'node' : 'nodes'}`,
        hint: 'name two: prefer: [a, b]',
      });
    if (second !== undefined)
      problems.push({
        path: at(second),
        message: `${group.id} has a mirror already ("${first.id}"): the lease record says of each node whether it is in sync, not of each volume`,
        hint: 'put both on one volume (LVM, or partitions of the mirrored device), or each in a group of its own',
      });
    if (withoutStore(config))
      problems.push({
        path: at(first),
        message: 'a mirror needs a store: without one nothing decides between a holder that goes on alone and a takeover',
        hint: 'use a store: witness, etcd, dynamodb, s3',
      });
    return problems;
  });
