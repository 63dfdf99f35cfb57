// Removes a netns lab knowing nothing but its id, so that a lab whose own processes died can be cleaned up by anybody.
// Also says whether this machine can carry the substrate at all.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../errors/errors.js';
import { killLab, removeCgroup, signalPid } from './host-processes.js';
import { tool } from './lab-process.js';
import { cgroupName, namespaceOf } from './netns-names.js';

/** Where cgroup v2 is mounted, also beside v1 on hybrid hosts; null when nowhere. */
export const cgroupRoot = (mounts: string = readFileSync('/proc/mounts', 'utf8')): string | null =>
  mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'cgroup2')?.[1] ?? null;

export const namespacesOf = (labId: string): string[] =>
  existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => name.startsWith(namespaceOf(labId, ''))) : [];

/** Why netns cannot be used here, or null when it can. Tries it: a container's root may not make namespaces. */
export const netnsObstacle = (): string | null => {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const root = cgroupRoot();
  if (root === null) return 'no cgroup v2 is mounted';
  const trial = `us-try${process.pid}-x`;
  try {
    tool(['ip', 'netns', 'add', trial]);
    tool(['ip', 'netns', 'del', trial]);
    tool(['nsenter', '--version']);
    tool(['mkdir', join(root, trial)]);
    tool(['rmdir', join(root, trial)]);
    return null;
  } catch (thrown) {
    return reasonOf(thrown);
  }
};

/** Removes cgroups, processes, cables and namespaces of the lab. Idempotent. */
export const removeNetns = (labId: string): void => {
  const root = cgroupRoot();
  const cgroup = root === null ? null : join(root, cgroupName(labId));
  if (cgroup !== null && existsSync(join(cgroup, 'cgroup.kill'))) writeFileSync(join(cgroup, 'cgroup.kill'), '1');
  killLab(labId);
  if (cgroup !== null) removeCgroup(cgroup);
  for (const namespace of namespacesOf(labId)) {
    for (const pid of tool(['ip', 'netns', 'pids', namespace]).split('\n').filter(Boolean)) signalPid(Number(pid), 'SIGKILL');
    // A deleted namespace dies later; its cables must be gone when this returns.
    const cables = tool(['ip', '-n', namespace, '-o', 'link', 'show', 'type', 'veth']);
    for (const [, name] of cables.matchAll(/^\d+: ([^@:]+)/gm)) tool(['ip', '-n', namespace, 'link', 'del', name ?? '']);
    tool(['ip', 'netns', 'del', namespace]);
  }
};
