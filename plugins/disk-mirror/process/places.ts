// Where a volume’s sockets and files lie: the sockets in the run directory of its resource. One home for every path that agent,
// process and commands share.
import { join } from 'node:path';

/** Orders and views: framed JSON, for root alone. */
export const controlSocket = (runDir: string): string => join(runDir, 'mirror.sock');
/** The block device as NBD, only while this node is primary. */
export const serviceSocket = (runDir: string): string => join(runDir, 'nbd.sock');
/** A link to the attached device, or to the service socket with `attach: none`: the same path on every node. */
export const defaultDevice = (group: string, resource: string): string => `/dev/understudy/${group}-${resource}`;
/** The export’s name, for people and `nbdinfo`. */
export const exportName = (group: string, resource: string): string => `${group}/${resource}`;
/** Metadata where the config names no other place: it must survive boots. */
export const defaultMetadata = (stateDir: string, group: string, resource: string): string =>
  join(stateDir, 'mirror', `${group}-${resource}.metadata`);
/** The run directory of a resource, as agents are given it. */
export const resourceRunDir = (runDir: string, group: string, resource: string): string => join(runDir, 'resources', group, resource);
