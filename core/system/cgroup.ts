// Where the processes of resources live: one cgroup directory for each, `<base>/<group>/<resource>`. What runs in it can be
// counted, watched and ended as a whole, whoever forked it. Implementation: cgroup-linux.ts. Pure here: finding the place.

export interface Cgroups {
  /** The directory under which resources get theirs; null where cgroup v2 is missing or not ours to write. */
  readonly base: string | null;
  /** Makes the resource's directory if it is missing. null where there are no cgroups: the environment mark is used then. */
  make(group: string, resource: string): string | null;
  /** Removes an empty cgroup and the empty ones in it; false when something lives in it. */
  remove(directory: string): boolean;
  /** Whether a living process is in the cgroup or below it; false when the cgroup does not exist. */
  populated(directory: string): boolean;
  /** Pids in the cgroup and below it. */
  members(directory: string): readonly number[];
  /** Ends everything in the cgroup and below it: `cgroup.kill`, else freeze and SIGKILL. Whether it is empty now. */
  kill(directory: string, limitMs: number): Promise<boolean>;
  /**
   * Somebody is about to start a process in a cgroup. The kernel lets a process be moved into one only after a grace period
   * (about 10 ms), unless another was moved just before: for `forMs` that is kept so. Costs nothing but those moves.
   */
  keepReady(forMs: number): void;
  /** Calls back at each change of `cgroup.events` (last process gone, first one come): under a millisecond, no polling. */
  watch(directory: string, changed: () => void): () => void;
}
export const Cgroups: unique symbol = Symbol('Cgroups');

/** Own unit of all applications where systemd runs the house (DESIGN 3), and the directory's name where it does not. */
export const APPS_UNIT = 'understudy-apps.service';
const APPS_DIRECTORY = 'understudy-apps';

/** Mount point of cgroup2 in the text of /proc/mounts; on hybrid hosts it is /sys/fs/cgroup/unified. */
export const cgroup2Mount = (mounts: string): string | null => {
  const line = mounts.split('\n').find((entry) => entry.split(' ')[2] === 'cgroup2');
  // Blanks in a mount point are written \040.
  return line?.split(' ')[1]?.replace(/\\040/g, ' ') ?? null;
};

/** Own path in the cgroup2 tree, from the text of /proc/self/cgroup. */
export const ownCgroup = (self: string): string | null => /^0::(\/.*)$/m.exec(self)?.[1] ?? null;

/**
 * Where resources' directories may go, best first: the applications' own unit beside ours, then below our own cgroup.
 * `given` ($UNDERSTUDY_CGROUP, the lab's) comes before both; `none` means no cgroups at all.
 */
export const basesFrom = (mounts: string, self: string, given: string | undefined): readonly string[] => {
  if (given === 'none') return [];
  if (given !== undefined && given !== '') return [given];
  const mount = cgroup2Mount(mounts);
  const own = ownCgroup(self);
  if (mount === null || own === null) return [];
  const here = mount + (own === '/' ? '' : own);
  const parent = here.slice(0, here.lastIndexOf('/'));
  const beside = own === '/' ? [] : [`${parent}/${APPS_UNIT}`];
  return [...beside, `${here}/${APPS_DIRECTORY}`];
};

/** A resource's or group's name as a directory: one to one, never `..`, never one of the kernel's files (`cgroup.procs`). */
export const directoryName = (name: string): string =>
  name.replace(/[^A-Za-z0-9_-]/g, (character) => `%${character.codePointAt(0)?.toString(16)}`);
