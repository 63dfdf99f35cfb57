// A cluster of two nodes as real processes on loopback addresses: guard, leash and controller each, a witness in this
// process as arbiter, toy resources. No root needed. A node's power is cut by killing all it has and its run directory.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiClient, openApi } from '../../core/api/client.js';
import type { StatusView } from '../../core/api/views.js';
import { childPlans, supervise, type Supervised } from '../../core/daemon/run.js';
import type { JournalEvent } from '../../core/model/event.js';
import { readJournal } from '../../core/journal/read-journal.js';
import { generateKey, loadKeys } from '../../core/system/key-file.js';
import { journalDir, type Paths, pathsFrom } from '../../core/system/paths.js';
import { systemRandom } from '../../core/system/random.js';
import { startWitness } from '../../plugins/witness/server.js';
import { createStateFile } from '../../plugins/witness/state-file.js';
import { LAN, SILENT } from './controller-world.js';
import { TOY_PLUGIN } from './toy-plugin.js';
import { until } from './until.js';

export interface NodeProcesses {
  readonly api: ApiClient;
  readonly paths: Paths;
  pids(): Readonly<Record<string, number | null>>;
  on(): void;
  /** Everything of the node is gone at one moment: processes, resources, run directory. */
  powerOff(): void;
  kill(what: string): void;
}

export interface Cluster {
  readonly directory: string;
  readonly nodes: Readonly<Record<'a' | 'b', NodeProcesses>>;
  /** Lines `start app a alone`, without the times. */
  calls(): readonly string[];
  /** Where the resource runs. */
  running(resource: string): readonly string[];
  status(node: 'a' | 'b'): Promise<StatusView | null>;
  events(): Promise<readonly JournalEvent[]>;
  /** Waits until the group is online on the node, as the node itself says. */
  online(node: 'a' | 'b', limitMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export const startCluster = async (options: { readonly groupLines?: string } = {}): Promise<Cluster> => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-nodes-'));
  const base = 20 + (process.pid % 200);
  const address = (node: 'a' | 'b', network: number) => `127.${base}.${network}.${node === 'a' ? 1 : 2}`;
  const port = 4470;
  const [key, config, toys] = [join(directory, 'cluster.key'), join(directory, 'understudy.config.yaml'), join(directory, 'toys')];
  mkdirSync(toys);
  writeFileSync(key, generateKey(systemRandom), { mode: 0o400 });
  writeFileSync(join(directory, 'toy.ts'), TOY_PLUGIN, { mode: 0o600 });
  const stateFile = join(directory, 'witness.state');
  await createStateFile(stateFile, systemRandom.hex(16));
  const witness = await startWitness({ host: `127.${base}.9.9`, port: 4472, stateFile, keys: loadKeys(key), log: SILENT });
  const node = (id: 'a' | 'b') =>
    `  ${id}: { networks: { service: ${address(id, 0)}, heartbeat: [${address(id, 1)}, ${address(id, 2)}] } }`;
  writeFileSync(
    config,
    `cluster: test
key: file:${key}
nodes:
${node('a')}
${node('b')}
arbiter: { use: witness, address: "127.${base}.9.9:4472" }
timing: lan
# Nothing here can fence or bite: W alone is waited for, which is enough where no process is ever stopped.
fencing: { policy: none, unsafe: true }
ports: { heartbeat: ${port}, link: ${port + 1} }
addresses: table:${directory}/{node}.addresses
plugins: [./toy.ts]
groups:
  g:
    prefer: [a, b]
${options.groupLines ?? ''}    resources:
      vip: { use: toy, directory: ${toys} }
      app: { use: toy, directory: ${toys} }
`,
    { mode: 0o600 },
  );
  const supervisors: Partial<Record<'a' | 'b', Supervised>> = {};
  const made = (id: 'a' | 'b'): NodeProcesses => {
    const home = join(directory, id);
    const paths = pathsFrom({ run: join(home, 'run'), state: join(home, 'state'), log: join(home, 'log') });
    const pids = () => supervisors[id]?.pids ?? {};
    const endAll = () => {
      void supervisors[id]?.stop();
      for (const pid of Object.values(pids())) if (pid !== null) process.kill(pid, 'SIGKILL');
      delete supervisors[id];
    };
    return {
      api: openApi(paths),
      paths,
      pids,
      on: () => {
        mkdirSync(paths.run, { recursive: true, mode: 0o700 });
        writeFileSync(join(paths.run, 'boot-salt'), systemRandom.hex(8));
        supervisors[id] = supervise(
          childPlans({ node: id, config, runDir: paths.run, stateDir: paths.state, logDir: paths.log }, paths, LAN, {}),
          paths,
          SILENT,
        );
      },
      powerOff: () => {
        endAll();
        rmSync(paths.run, { recursive: true, force: true });
        for (const name of readdirSync(toys)) if (name.endsWith(`.${id}`)) rmSync(join(toys, name));
      },
      kill: (what) => {
        const pid = pids()[what];
        if (pid != null) process.kill(pid, 'SIGKILL');
      },
    };
  };
  const nodes = { a: made('a'), b: made('b') };
  const status = (id: 'a' | 'b') => nodes[id].api.status().catch(() => null);
  const cluster: Cluster = {
    directory,
    nodes,
    status,
    calls: () =>
      existsSync(join(toys, 'calls'))
        ? readFileSync(join(toys, 'calls'), 'utf8')
            .trim()
            .split('\n')
            .map((line) => line.split(' ').slice(0, 4).join(' '))
        : [],
    running: (resource) =>
      readdirSync(toys)
        .filter((name) => name.startsWith(`${resource}.`))
        .map((name) => name.slice(resource.length + 1)),
    events: () => readJournal([journalDir(nodes.a.paths), journalDir(nodes.b.paths)]),
    online: (id, limitMs = 20_000) =>
      until(
        `g is online on ${id}`,
        async () => {
          const shown = (await status(id))?.groups[0];
          return shown?.active === id && shown.state === 'online';
        },
        limitMs,
      ),
    stop: async () => {
      await Promise.all(Object.values(supervisors).map((supervised) => supervised?.stop()));
      await witness.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return cluster;
};
