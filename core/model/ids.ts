// Names of things. All are plain strings in the config file's own spelling; the aliases only say which kind is meant.
export type ClusterId = string;
export type NodeId = string;
export type NetworkId = string;
export type GroupId = string;
/** Unique within its group. Across groups write it with `resourceName`. */
export type ResourceId = string;
/** One life of a node: changes with every boot, never with a process restart (SAFETY a.4). */
export type BootId = string;
/** The fencing token. Grows with every change of holder, never shrinks. Epoch 0 means "never held". */
export type Epoch = number;

/** The name of a resource in journals, environment marks and cgroups: `group/resource`. */
export const resourceName = (group: GroupId, resource: ResourceId): string => `${group}/${resource}`;
