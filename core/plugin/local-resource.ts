// What a command of a plugin is told of one resource on this node: enough to act on it here, nothing of the cluster at large.
import type { BootId, GroupId, NodeId, ResourceId } from '../model/ids.js';
import type { Paths } from '../system/paths.js';

export interface LocalResource<Options = unknown> {
  readonly cluster: string;
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly group: GroupId;
  readonly resource: ResourceId;
  /** The resource's type, as the config has it. */
  readonly use: string;
  /** On this node, checked, references followed. */
  readonly options: Options;
  /** The other nodes of the group. */
  readonly peers: readonly NodeId[];
  readonly paths: Paths;
}
