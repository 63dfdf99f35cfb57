// etcd itself as processes of this machine, for the lab and for tests: one member or several on given addresses, each with its
// own directory and a group of its own that is ended whole. Whoever starts it stops it; members that die are not restarted.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { UnderstudyError } from 'understudy/plugin';

export interface LocalClusterOptions {
  /** For each member an address of this host and two free ports. */
  readonly members: readonly { readonly address: string; readonly clientPort: number; readonly peerPort: number }[];
  readonly directory: string;
  /** etcd's own pace; a leader is missed after `electionMs` to twice that. */
  readonly heartbeatMs?: number;
  readonly electionMs?: number;
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly program?: string;
}

const START_MS = 15_000;
const END_MS = 5_000;
const STATUS_MS = 500;

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader?: string;
}

const statusOf = async (endpoint: string): Promise<Status | null> => {
  try {
    const answer = await fetch(`http://${endpoint}/v3/maintenance/status`, {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(STATUS_MS),
    });
    return (await answer.json()) as Status;
  } catch {
    return null; // Down or paused: then it says nothing.
  }
};

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #processes = new Map<number, ChildProcess>();

  constructor(options: LocalClusterOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#options.members.length;
  }

  /** ADDRESS:PORT of each member. */
  get endpoints(): readonly string[] {
    return this.#options.members.map(({ address, clientPort }) => `${address}:${clientPort}`);
  }

  /** All of them; resolves when each takes connections. Rejects with LAB_FAILED and the last words of the one that does not. */
  async start(): Promise<void> {
    await Promise.all(this.#options.members.map((_, index) => this.startMember(index)));
  }

  async startMember(index: number, state: 'new' | 'existing' = 'new'): Promise<void> {
    if (this.isUp(index)) return;
    const { members, directory, heartbeatMs = 100, electionMs = 1000, tls, program = 'etcd' } = this.#options;
    const { address, clientPort, peerPort } = members[index]!;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const clients = `${tls === undefined ? 'http' : 'https'}://${address}:${clientPort}`;
    const log = openSync(this.#log(index), 'a', 0o600);
    const child = spawn(
      program,
      [
        '--name',
        `m${index}`,
        '--data-dir',
        this.#data(index),
        '--logger',
        'zap',
        '--log-outputs',
        'stderr',
        '--listen-client-urls',
        clients,
        '--advertise-client-urls',
        clients,
        '--listen-peer-urls',
        `http://${address}:${peerPort}`,
        '--initial-advertise-peer-urls',
        `http://${address}:${peerPort}`,
        '--initial-cluster',
        members.map((one, at) => `m${at}=http://${one.address}:${one.peerPort}`).join(','),
        '--strict-reconfig-check=false', // Else a member can be replaced only after five quiet seconds.
        '--initial-cluster-state',
        state,
        '--heartbeat-interval',
        String(heartbeatMs),
        '--election-timeout',
        String(electionMs),
        ...(tls === undefined ? [] : ['--cert-file', tls.cert, '--key-file', tls.key, '--trusted-ca-file', tls.ca]),
      ],
      { stdio: ['ignore', log, log], detached: true },
    );
    closeSync(log);
    this.#processes.set(index, child);
    const failed = new Promise<never>((_resolve, reject) => {
      child.once('error', (cause) =>
        reject(
          new UnderstudyError('LAB_FAILED', `could not start ${program}: ${cause.message}`, {
            cause,
            hint: 'On Debian: apt install etcd-server',
          }),
        ),
      );
      child.once('exit', (code, signal) => reject(this.#trouble(index, `ended with ${code ?? signal}`)));
    });
    failed.catch(() => {}); // Told below while it matters; later an end is what a fault wants.
    await Promise.race([failed, this.#listening(index)]);
  }

  isUp(index: number): boolean {
    const child = this.#processes.get(index);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** SIGKILL, SIGSTOP, SIGCONT or SIGTERM to a member; nothing when it is down. Resolves when one that ends has ended. */
  async signal(index: number, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): Promise<void> {
    const child = this.#processes.get(index);
    if (child?.pid === undefined || !this.isUp(index)) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    process.kill(-child.pid, signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await Promise.race([ended, sleep(END_MS)]);
  }

  /** Everything this member had. Only while it is down. */
  wipe(index: number): void {
    rmSync(this.#data(index), { recursive: true, force: true });
  }

  /** The member that leads as the others see it; null while there is none. By etcd's JSON gateway: without TLS only. */
  async leader(): Promise<number | null> {
    const seen = await Promise.all(this.endpoints.map((endpoint) => statusOf(endpoint)));
    const leaders = seen.map((status) => status?.leader).filter((leader) => leader !== undefined && leader !== '0');
    const [leader] = leaders;
    const at = seen.findIndex((status) => status?.header.member_id === leader);
    return leader === undefined || at < 0 ? null : at;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#options.members.map((_, index) => this.signal(index, 'SIGKILL')));
  }

  #data(index: number): string {
    return join(this.#options.directory, `m${index}`);
  }

  #log(index: number): string {
    return join(this.#options.directory, `m${index}.log`);
  }

  #trouble(index: number, why: string): UnderstudyError {
    const words = readFileSync(this.#log(index), 'utf8').trimEnd().split('\n').slice(-3).join(' | ');
    return new UnderstudyError('LAB_FAILED', `etcd member m${index} ${why}: ${words}`);
  }

  async #listening(index: number): Promise<void> {
    const { address, clientPort } = this.#options.members[index]!;
    for (const endMs = performance.now() + START_MS; performance.now() < endMs; await sleep(20)) {
      const open = await new Promise<boolean>((resolve) => {
        const socket = connect({ host: address, port: clientPort });
        socket.once('connect', () => (socket.destroy(), resolve(true)));
        socket.once('error', () => resolve(false));
      });
      if (open) return;
    }
    throw this.#trouble(index, `did not take connections within ${START_MS / 1000} s`);
  }
}
