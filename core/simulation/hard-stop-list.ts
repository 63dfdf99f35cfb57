// The hard-stop list of a simulated host: which line names which thing, so that the emergency stop ends what the list names
// and nothing else. A thing that nobody listed outlives it, as on a real host.
import type { GroupId, ResourceId } from '../model/ids.js';
import type { FactKind } from './sim-os.js';

/** The lines of one resource of which an observer sees `shows`. */
export const hardStopLines = (shows: FactKind | null, group: GroupId, resource: ResourceId): readonly string[] => {
  if (shows === null) return [];
  if (shows === 'process') return [`cgroup /sim/${group}/${resource}`];
  return [`${shows === 'address' ? 'addr sim0' : shows === 'export' ? 'nbd' : 'mount'} ${group}/${resource}`];
};

/** Whether a list names this thing of the host; a cgroup names all processes in it (`resource:start`). */
export const isListed = (list: readonly string[], group: GroupId, kind: FactKind, key: string): boolean =>
  hardStopLines(kind, group, key.split(':', 1)[0] ?? key).some((line) => list.includes(line));
