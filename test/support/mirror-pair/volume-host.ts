// One mirror process of a pair whose record and lease pages are the test's (mirror-pair.ts): the real process with real metadata, as
// `understudy process` would start it. What it asks of its guard goes to the parent, and what it tells of itself. It ends with
// its parent. Usage: volume-host.js HOST_AS_JSON, with an IPC channel.
import { join } from 'node:path';
import {
  type InSyncAnswer,
  openPageReader,
  type ProcessContext,
  reasonOf,
  systemClock,
  systemExec,
  systemFiles,
  systemPageClocks,
  systemRandom,
} from 'understudy/plugin';
import { systemLocalSockets } from '../../../core/system/framed-socket.js';
import { leasePage } from '../../../core/system/paths.js';
import { type DiskMirrorOptions, diskMirrorOptions } from '../../../plugins/disk-mirror/agent/definition.js';
import { mirrorProcess } from '../../../plugins/disk-mirror/process/mirror-process.js';
import { CLUSTER, type FromHost, GROUP, type HostPlan, RESOURCE, type ToHost } from './protocol.js';

const plan = JSON.parse(process.argv[2] ?? '') as HostPlan;
const tell = (message: FromHost): void => void process.send?.(message);
const paths = { run: join(plan.directory, 'run'), state: join(plan.directory, 'state'), log: join(plan.directory, 'log') };
const options: DiskMirrorOptions = diskMirrorOptions.parse({ attach: 'none', insecure: true, sparse: true, ...plan.options });

const asked = new Map<number, (answer: InSyncAnswer) => void>();
process.on('message', ({ id, answer }: ToHost) => {
  asked.get(id)?.(answer);
  asked.delete(id);
});
process.on('disconnect', () => process.exit(0));

const say = (level: string) => (message: string, data?: Record<string, unknown>) =>
  tell({ t: 'log', line: `${level} ${message} ${JSON.stringify(data ?? {})}` });
const context: ProcessContext<DiskMirrorOptions> = {
  cluster: CLUSTER,
  node: plan.node,
  bootId: plan.bootId,
  group: GROUP,
  resource: RESOURCE,
  options,
  settings: undefined,
  networks: { mirror: [plan.address], heartbeat: [] },
  peers: [{ node: plan.peer, networks: { mirror: [plan.peerAddress], heartbeat: [] }, options }],
  port: plan.port,
  timing: { attemptMs: 1_000 } as ProcessContext['timing'],
  paths,
  keys: { current: { id: 1, bytes: new Uint8Array(32).fill(7) }, all: [{ id: 1, bytes: new Uint8Array(32).fill(7) }] },
  leasePage: openPageReader(leasePage(paths, GROUP), systemPageClocks(plan.bootId), systemFiles),
  guard: {
    connected: true,
    view: () => null,
    viewAgeMs: () => null,
    onView: () => undefined,
    onEvent: () => undefined,
    onState: () => undefined,
    inSync: (request) =>
      new Promise((resolve) => {
        const id = asked.size === 0 ? 1 : Math.max(...asked.keys()) + 1;
        asked.set(id, resolve);
        tell({ t: 'in-sync', id, change: request.change, peer: request.peer, bootId: request.bootId, epoch: request.epoch });
      }),
    higherEpoch: (_group, epoch, because) => {
      tell({ t: 'higher-epoch', epoch, because });
      return true;
    },
  },
  clock: systemClock,
  random: systemRandom,
  files: systemFiles,
  sockets: systemLocalSockets,
  exec: systemExec(),
  log: { debug: () => undefined, info: say('info'), warn: say('warn'), error: say('error') },
  journal: { write: ({ kind, because }) => tell({ t: 'journal', kind, because: because ?? '' }) },
  alarms: { set: (subject, sentence) => tell({ t: 'alarm', subject, sentence }) },
  fail: (error) => {
    tell({ t: 'log', line: `it cannot go on: ${reasonOf(error)}` });
    process.exit(1);
  },
};
await mirrorProcess.start(context);
tell({ t: 'ready' });
