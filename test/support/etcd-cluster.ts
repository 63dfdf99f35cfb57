// A real etcd for tests: free ports, a directory that goes away, TLS and users on demand. Everything it starts ends with it.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Arbiter } from 'understudy/plugin';
import { type EtcdOptions, open } from '../../plugins/etcd/etcd-arbiter.js';
import { LocalCluster } from '../../plugins/etcd/local-cluster.js';

/** Why these tests cannot run here, or null. In CI that is an error, not a reason to skip. */
export const etcdObstacle = (): string | null => {
  for (const [program, word] of [
    ['etcd', '--version'],
    ['etcdctl', 'version'],
    ['openssl', 'version'],
  ] as const) {
    try {
      execFileSync(program, [word], { stdio: 'ignore', env: { ...process.env, ETCDCTL_API: '3' } });
    } catch {
      if (process.env['CI']) throw new Error(`this suite cannot run in CI: there is no ${program}`);
      return `there is no ${program} (Debian: apt install etcd-server etcd-client openssl)`;
    }
  }
  return null;
};

const freePorts = async (count: number): Promise<readonly number[]> => {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer();
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
};

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}
const PREFIX = 'understudy-test/';

export class EtcdCluster {
  private constructor(
    readonly directory: string,
    readonly cluster: LocalCluster,
    readonly options: EtcdOptions,
    private readonly client: Certificates | null,
  ) {}

  /** Started. `secure`: TLS with certificates on both sides, and user `ha` with rights on the keys below `understudy-test/`. */
  static async start(size: 1 | 3, { secure = false, electionMs = 250 } = {}): Promise<EtcdCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'understudy-etcd-'));
    const ports = await freePorts(2 * size);
    const members = Array.from({ length: size }, (_, n) => ({
      address: '127.0.0.1',
      clientPort: ports[2 * n]!,
      peerPort: ports[2 * n + 1]!,
    }));
    const tls = secure ? certificates(directory) : undefined;
    const cluster = new LocalCluster({
      members,
      directory,
      electionMs,
      heartbeatMs: electionMs / 10,
      ...(tls === undefined ? {} : { tls }),
    });
    try {
      await cluster.start();
      const password = join(directory, 'password');
      const client = { ca: join(directory, 'ca.pem'), cert: join(directory, 'client.pem'), key: join(directory, 'client.key') };
      if (tls !== undefined) enableUsers(cluster.endpoints[0]!, client, password);
      const login = { prefix: PREFIX, user: 'ha', password: `file:${password}` };
      return new EtcdCluster(
        directory,
        cluster,
        {
          endpoints: cluster.endpoints,
          ...(tls === undefined ? {} : { ...login, tls: { ...client, serverName: 'etcd.test' } }),
        },
        tls === undefined ? null : client,
      );
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  connect(more: Partial<EtcdOptions> = {}): Promise<Arbiter> {
    return open({ ...this.options, ...more }, { cluster: 'orders', node: 'a', key: new Uint8Array(32), ports: {}, log });
  }

  /** The member that leads; waits for one. */
  async leader(): Promise<number> {
    for (const endMs = performance.now() + 10_000; performance.now() < endMs; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const leader = await this.cluster.leader();
      if (leader !== null) return leader;
    }
    throw new Error('etcd had no leader for 10 s');
  }

  /** Tells the others that this member begins anew: removed and added, as an operator does after the loss of its disk. */
  replaceMember(index: number): void {
    const other = this.cluster.endpoints.find((_, at) => at !== index)!;
    const control = (...words: readonly string[]): string => etcdctl(other, this.client, ['member', ...words]);
    const [id, , name, peer] = control('list')
      .split('\n')
      .map((line) => line.split(', '))
      .find(([, , each]) => each === `m${index}`) ?? ['', '', '', ''];
    control('remove', id!);
    control('add', name!, `--peer-urls=${peer}`);
  }

  /** `etcdctl WORDS` as root; what it prints. */
  control(...words: readonly string[]): string {
    return etcdctl(this.cluster.endpoints[0]!, this.client, [...(this.client === null ? [] : ['--user=root:root']), ...words]);
  }

  /** Gives the user `ha` its rights, or takes them. */
  permit(on: boolean): void {
    this.control('role', on ? 'grant-permission' : 'revoke-permission', 'ha', ...(on ? ['readwrite'] : []), '--prefix=true', PREFIX);
  }

  /** Copies the one member's directory while it is down; the returned function puts the copy in its place. */
  async backup(): Promise<() => Promise<void>> {
    const [data, copy] = [join(this.directory, 'm0'), join(this.directory, 'backup')];
    const exchange = async (from: string, to: string): Promise<void> => {
      await this.cluster.signal(0, 'SIGKILL');
      rmSync(to, { recursive: true, force: true });
      cpSync(from, to, { recursive: true });
      await this.cluster.start();
    };
    await exchange(data, copy);
    return () => exchange(copy, data);
  }

  async stop(): Promise<void> {
    await this.cluster.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const certificates = (directory: string): Certificates => {
  const file = (name: string): string => join(directory, name);
  const openssl = (...words: readonly string[]): unknown => execFileSync('openssl', words, { stdio: 'ignore', cwd: directory });
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl(...make, '-subj', '/CN=test CA', '-keyout', 'ca.key', '-out', 'ca.pem');
  const names = ['-addext', 'subjectAltName=DNS:etcd.test,IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE'];
  for (const [who, name] of [
    ['member', 'etcd.test'],
    ['client', 'a'],
  ] as const) {
    openssl(...make, '-subj', `/CN=${name}`, ...names, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-keyout', `${who}.key`, '-out', `${who}.pem`);
    chmodSync(file(`${who}.key`), 0o600);
  }
  return { ca: file('ca.pem'), cert: file('member.pem'), key: file('member.key') };
};

const etcdctl = (endpoint: string, client: Certificates | null, words: readonly string[]): string => {
  const secure = client === null ? [] : [`--cacert=${client.ca}`, `--cert=${client.cert}`, `--key=${client.key}`];
  const at = `--endpoints=${client === null ? 'http' : 'https'}://${endpoint}`;
  return execFileSync('etcdctl', [at, ...secure, '--command-timeout=5s', ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ETCDCTL_API: '3' },
  });
};

const enableUsers = (endpoint: string, client: Certificates, passwordFile: string): void => {
  const password = 'correct horse';
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  const control = (...words: readonly string[]): string => etcdctl(endpoint, client, words);
  control('user', 'add', 'root:root');
  control('user', 'grant-role', 'root', 'root');
  control('role', 'add', 'ha');
  control('role', 'grant-permission', 'ha', 'readwrite', '--prefix=true', PREFIX);
  control('user', 'add', `ha:${password}`);
  control('user', 'grant-role', 'ha', 'ha');
  control('auth', 'enable');
};
