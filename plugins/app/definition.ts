// What app-script is and what can be said to it. The code behind it: app-script.ts.
import { argv, choice, defineAgent, durationMs, flag, list, options, table, text, z } from 'understudy/plugin';

const HARD_STOP_LINE = /^(freeze|addr|table|unit|cgroup|pidfile|pids|nbd|mount) \S/;
const STATES = ['online', 'offline', 'faulted', 'unknown'] as const;

const shape = options({
  start: argv('Command that starts the application: absolute path and arguments'),
  stop: argv('Command that stops it; without one it gets SIGTERM').optional(),
  monitor: argv('Command whose exit status tells the state; without one its processes are what is looked at').optional(),
  clean: argv('Command run after its processes have ended: locks, shared memory').optional(),
  mode: choice('fork: `start` returns when the application serves. foreground: `start` is the application itself', [
    'fork',
    'foreground',
  ]).default('fork'),
  exitCodes: table(
    'State for an exit status of `monitor`, and for any other one under `else`',
    choice('Resource state', STATES),
  ).optional(),
  user: text('User the commands run as, with its groups').optional(),
  cwd: text('Working directory').default('/'),
  env: table('Environment on top of the short one', z.string()).default({}),
  pidfile: text('File into which the application writes the pid of its main process').optional(),
  unit: text('systemd unit in which it really runs, when `start` only asks systemd').optional(),
  hardStop: list(
    'Further lines of the hard-stop list, for what leaves no process here',
    z.string().regex(HARD_STOP_LINE, 'not a line of the hard-stop list'),
  ).default([]),
  killAfter: durationMs('From SIGTERM to SIGKILL', 5_000, { minMs: 0, maxMs: 3_600_000 }),
  settle: durationMs('foreground without `monitor`: a program that ends sooner failed to start', 20, { minMs: 0, maxMs: 600_000 }),
  lingerSafe: flag('Signed by the operator: a late copy does no harm (SAFETY a.7b)', false),
});

export const appScriptOptions = shape.superRefine(({ exitCodes = {}, hardStop, unit, pidfile, monitor, start, stop, clean }, context) => {
  for (const status of Object.keys(exitCodes)) {
    if (status !== 'else' && !(/^\d+$/.test(status) && Number(status) <= 255)) {
      context.addIssue({ code: 'custom', path: ['exitCodes', status], message: `"${status}" is no exit status: write 0 to 255, or else` });
    }
  }
  if (hardStop.length > 0 && unit === undefined && pidfile === undefined && monitor === undefined) {
    context.addIssue({
      code: 'custom',
      path: ['hardStop'],
      message: 'an application known only by its hard-stop lines needs a `monitor` command to be seen',
    });
  }
  for (const [key, words] of Object.entries({ start, stop, monitor, clean })) {
    const [program] = words ?? [];
    if (program !== undefined && !/^(\/|[A-Za-z]:[\\/]|\\\\)/.test(program)) {
      context.addIssue({ code: 'custom', path: [key, 0], message: `"${program}" is not an absolute path` });
    }
  }
});

export type AppScriptOptions = z.output<typeof appScriptOptions>;

export const appScript = defineAgent({
  summary: 'Runs an application by its own start, stop and monitor commands, and ends whatever they leave behind.',
  options: appScriptOptions,
  fencedByEpoch: ({ lingerSafe }) => lingerSafe,
  programs: ({ start, stop, monitor, clean }) => [start, stop, monitor, clean].flatMap((words) => words?.slice(0, 1) ?? []),
  hardStop: ({ options: { unit, pidfile, hardStop }, group, resource, cgroup }) => [
    ...(unit === undefined ? [] : [`unit ${unit}`]),
    cgroup === null ? `pids ${group}/${resource}` : `cgroup ${cgroup}`,
    ...(pidfile === undefined ? [] : [`pidfile ${pidfile}`]),
    ...hardStop,
  ],
  agent: () => import('./app-script.js').then(({ AppScript }) => AppScript),
});
