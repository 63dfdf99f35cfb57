// One mirror process for measurements and drills of the data path alone: `node volume.js --node a --peer b --address 127.0.0.1
// --peer-address 127.0.0.2 --backing FILE --dir DIR --port P [--primary]`. It is the real process, with real metadata and a real
// lease page, on which epoch 1 is held for a day; in the place of the guard stands a record in memory.
import { existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type InSyncAnswer,
  openPageReader,
  type ProcessContext,
  systemClock,
  systemExec,
  systemFiles,
  systemPageClocks,
  systemRandom,
} from 'understudy/plugin';
import { systemLocalSockets } from '../../../core/system/framed-socket.js';
import { openPageWriter } from '../../../core/system/page-file.js';
import { bootOffsetMs } from '../../../core/system/boot.js';
import { leasePage } from '../../../core/system/paths.js';
import { type DiskMirrorOptions, diskMirrorOptions } from '../../../plugins/disk-mirror/agent/definition.js';
import { mirrorProcess } from '../../../plugins/disk-mirror/process/mirror-process.js';
import { controlSocket, resourceRunDir, serviceSocket } from '../../../plugins/disk-mirror/process/places.js';
import { order, viewVolume } from '../../../plugins/disk-mirror/process/control-client.js';
import { makeCopies } from '../../support/new-copies.js';

const { values } = parseArgs({
  options: {
    node: { type: 'string', default: 'a' },
    peer: { type: 'string', default: 'b' },
    address: { type: 'string', default: '127.0.0.1' },
    'peer-address': { type: 'string', default: '127.0.0.2' },
    port: { type: 'string', default: '4480' },
    backing: { type: 'string' },
    metadata: { type: 'string' },
    dir: { type: 'string' },
    primary: { type: 'boolean', default: false },
    /** The lease is held here and nothing is ordered: it does what it does by itself. */
    held: { type: 'boolean', default: false },
    /** Further options of the resource, as JSON. */
    options: { type: 'string', default: '{}' },
    /** Where the NBD socket shall be, e.g. the bench's. */
    socket: { type: 'string' },
  },
});

// As the daemons' entry does it for a plugin's process.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const GROUP = 'bench';
const RESOURCE = 'data';
const EPOCH = 1;
const BOOT_ID = `bench-${values.node}`;
const DAY_MS = 86_400_000;

const need = (name: 'backing' | 'dir'): string => {
  const value = values[name];
  if (value === undefined) throw new RangeError(`--${name} is needed`);
  return value;
};

const backing = need('backing');
const dir = need('dir');
const metadata = values.metadata ?? join(dir, `${values.node}.metadata`);
const paths = { run: join(dir, 'run'), state: join(dir, 'state'), log: join(dir, 'log') };
const raw = JSON.parse(values.options) as Record<string, unknown>;
const options: DiskMirrorOptions = diskMirrorOptions.parse({ backing, metadata, attach: 'none', insecure: true, sparse: true, ...raw });

const inSync = new Set([values.node, values.peer]);
const clocks = systemPageClocks(BOOT_ID);
mkdirSync(join(paths.run, 'lease'), { recursive: true, mode: 0o700 });
const page = openPageWriter(leasePage(paths, GROUP), systemFiles);
const writePage = () =>
  page.write({
    epoch: EPOCH,
    state: values.primary || values.held ? 'HELD' : 'RELEASED',
    deadlineMonoNs: clocks.monoNs() + BigInt(DAY_MS) * 1_000_000n,
    deadlineBootMs: Math.round(performance.now() + DAY_MS),
    bootOffsetMs: Math.round(bootOffsetMs()),
    bootId: BOOT_ID,
    nonce: 'bench',
    inSync: [...inSync],
  });
writePage();

let seq = 0;
const guard: ProcessContext['guard'] = {
  connected: true,
  view: () => null,
  viewAgeMs: () => null,
  onView: () => undefined,
  onEvent: () => undefined,
  onState: () => undefined,
  inSync: async ({ change, peer }): Promise<InSyncAnswer> => {
    if (change === 'add') inSync.add(peer);
    else inSync.delete(peer);
    writePage();
    return { kind: 'ok', seq: (seq += 1) };
  },
  higherEpoch: (_group, epoch, because) => {
    console.error(`higher epoch ${epoch}: ${because}`);
    return true;
  },
};

if (!existsSync(metadata))
  await makeCopies(
    { cluster: 'bench', group: GROUP, volume: RESOURCE, sizeBytes: statSync(backing).size },
    [{ node: values.node, peer: values.peer, backing, metadata }],
    { mode: options.mode, slots: options.activeExtents, keepData: true },
  );
const say = (level: string) => (message: string, data?: Record<string, unknown>) =>
  console.error(level, message, JSON.stringify(data ?? {}));
const log = { debug: () => undefined, info: say('info'), warn: say('warn'), error: say('error') };
const runDir = resourceRunDir(paths.run, GROUP, RESOURCE);
const context: ProcessContext<DiskMirrorOptions> = {
  cluster: 'bench',
  node: values.node,
  bootId: BOOT_ID,
  group: GROUP,
  resource: RESOURCE,
  options,
  settings: undefined,
  networks: { mirror: [values.address], heartbeat: [] },
  peers: [{ node: values.peer, networks: { mirror: [values['peer-address']], heartbeat: [] }, options }],
  port: Number(values.port),
  timing: { attemptMs: 250 } as ProcessContext['timing'],
  paths,
  keys: { current: { id: 1, bytes: new Uint8Array(32).fill(7) }, all: [{ id: 1, bytes: new Uint8Array(32).fill(7) }] },
  leasePage: openPageReader(leasePage(paths, GROUP), clocks, systemFiles),
  guard,
  clock: systemClock,
  random: systemRandom,
  files: systemFiles,
  sockets: systemLocalSockets,
  exec: systemExec(),
  log,
  journal: { write: ({ kind, because }) => console.error('journal', Math.round(systemClock.nowMs()), kind, because) },
  alarms: { set: (subject, sentence) => sentence !== null && console.error('alarm', subject, sentence) },
  fail: (error) => {
    throw error;
  },
};
await mirrorProcess.start(context);
const client = { sockets: systemLocalSockets, clock: systemClock, path: controlSocket(runDir), volume: `${GROUP}/${RESOURCE}` };
if (values.primary) {
  for (const endMs = systemClock.nowMs() + 10_000; ; await systemClock.sleep(20)) {
    const view = await viewVolume(client, 1_000);
    if (view.connection === 'connected' || systemClock.nowMs() > endMs) break;
  }
  await order(client, { do: 'promote', epoch: EPOCH, force: false }, 10_000);
  if (values.socket !== undefined) symlinkSync(serviceSocket(runDir), values.socket);
  console.error('serving', serviceSocket(runDir), JSON.stringify(await viewVolume(client, 1_000)));
}
