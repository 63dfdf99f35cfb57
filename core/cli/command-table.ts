// Every command of `understudy`, with what the overview says of it. One file per command under commands/, loaded only when it
// is called, so that `status` never pays for what `demo` needs. Plugins' commands join at run time (core/cli/main).
import type { Command } from 'commander';

/** What a command's file exports: adds arguments, options and the action to the bare command. */
export interface CommandModule {
  readonly define: (command: Command) => void;
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: 'Day 0' | 'Run' | 'Operate' | 'Learn';
  readonly load: () => Promise<CommandModule>;
}

const entry = (group: CommandEntry['group'], name: string, summary: string, load: CommandEntry['load']): CommandEntry => ({
  name,
  summary,
  group,
  load,
});

export const COMMANDS: readonly CommandEntry[] = [
  entry(
    'Day 0',
    'demo',
    'a whole failover on this machine, shown and explained, in about half a minute',
    () => import('./commands/demo.js'),
  ),
  entry(
    'Day 0',
    'check',
    'checks the config: every problem at once, the timing proof, the worst-case takeover time',
    () => import('./commands/check.js'),
  ),
  entry('Day 0', 'plan', 'what an operation would do: every step, call and command, touching nothing', () => import('./commands/plan.js')),
  entry(
    'Day 0',
    'simulate',
    'plays a script of faults on the config in virtual time: what happens, how long, why',
    () => import('./commands/simulate.js'),
  ),
  entry('Day 0', 'keygen', 'makes a cluster key file', () => import('./commands/keygen.js')),
  entry('Day 0', 'plugins', 'plugins that were found, their origin, version and contributions', () => import('./commands/plugins.js')),
  entry('Day 0', 'hooks', 'hooks of a group in the order in which they will run', () => import('./commands/hooks.js')),
  entry(
    'Day 0',
    'permissions',
    'the rights that the config needs outside the host, least privilege',
    () => import('./commands/permissions.js'),
  ),
  entry('Run', 'run', 'guard, controller, leash and mirrors of this node, supervised', () => import('./commands/run.js')),
  entry('Run', 'guard', 'the guard alone: lease, heartbeats, watchdog', () => import('./commands/guard.js')),
  entry('Run', 'controller', 'the controller alone: agents, hooks, plugins, API', () => import('./commands/controller.js')),
  entry('Run', 'process', 'the long-lived process of one resource: a mirror', () => import('./commands/process.js')),
  entry('Operate', 'status', 'the cluster on one screen', () => import('./commands/status.js')),
  entry('Operate', 'switchover', 'moves a group to another node, in order', () => import('./commands/switchover.js')),
  entry('Operate', 'start', 'orders a group online', () => import('./commands/start.js')),
  entry('Operate', 'stop', 'orders a group offline', () => import('./commands/stop.js')),
  entry('Operate', 'freeze', 'no takeover, restart or start of a group until unfreeze', () => import('./commands/freeze.js')),
  entry('Operate', 'unfreeze', 'ends a freeze', () => import('./commands/unfreeze.js')),
  entry('Operate', 'maintenance', 'no agent writes in a group; its lease is kept', () => import('./commands/maintenance.js')),
  entry('Operate', 'standby', 'moves everything off a node and keeps it off', () => import('./commands/standby.js')),
  entry('Operate', 'unstandby', 'lets a node be a candidate again', () => import('./commands/unstandby.js')),
  entry('Operate', 'clear', 'forgets a group’s failures, after they were mended', () => import('./commands/clear.js')),
  entry('Operate', 'fence', 'powers a node off, vouches that it is off, or shows what could', () => import('./commands/fence.js')),
  entry('Operate', 'arbiter', 'puts a lease record back that was lost or went back', () => import('./commands/arbiter.js')),
  entry('Operate', 'explain', 'why it happened, and how long each step took', () => import('./commands/explain.js')),
  entry('Operate', 'events', 'the journal, as it is or as it grows', () => import('./commands/events.js')),
  entry('Operate', 'replay', 'runs a captured decision again', () => import('./commands/replay.js')),
  entry('Learn', 'lab', 'a VPC on this machine: hosts, router, faults, probe', () => import('./commands/lab.js')),
];
