// PostgreSQL on ext4 on a mirrored volume, for drills: the volume's first content, the group, a client that commits numbered
// transactions and remembers which it saw committed.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, constants, existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../core/system/clock.js';

export interface Commit {
  readonly number: number;
  readonly atMs: number;
}

const PROGRAMS = '/usr/lib/postgresql/15/bin';
const LIMIT_MS = 60_000;
const run = (file: string, ...args: string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', timeout: LIMIT_MS, stdio: ['ignore', 'pipe', 'pipe'] });

/** Why it cannot run here, or null. In CI that is an error, not a reason to skip. */
export const postgresObstacle = (): string | null => {
  const missing = [`${PROGRAMS}/postgres`, '/usr/bin/nbdfuse', '/usr/bin/fusermount3', '/dev/fuse', '/dev/loop-control'].filter(
    (path) => !existsSync(path),
  );
  if (missing.length === 0) return null;
  if (process.env['CI']) throw new Error(`this suite cannot run in CI: there is no ${missing.join(', ')}`);
  return `there is no ${missing.join(', ')}`;
};

/** Where everything of one node lies. */
export const placesOf = (directory: string, node: string) => ({
  backing: join(directory, node, 'data.img'),
  metadata: join(directory, node, 'data.metadata'),
  device: join(directory, node, 'device'),
  mount: join(directory, node, 'mounted'),
  sockets: join(directory, node, 'sockets'),
});

/** A file system with an empty database in it, the same on both nodes. */
export const fillCopies = (directory: string, nodes: readonly [string, string], sizeBytes: number): void => {
  chmodSync(directory, 0o755);
  for (const node of nodes) {
    const { mount, sockets } = placesOf(directory, node);
    for (const made of [mount, sockets]) mkdirSync(made, { recursive: true, mode: 0o755 });
    run('chown', 'postgres', sockets);
  }
  const [first, second] = nodes.map((node) => placesOf(directory, node)) as [ReturnType<typeof placesOf>, ReturnType<typeof placesOf>];
  writeFileSync(first.backing, '');
  truncateSync(first.backing, sizeBytes);
  run('mkfs.ext4', '-q', '-F', first.backing);
  run('mount', '-o', 'loop', first.backing, first.mount);
  try {
    const data = join(first.mount, 'pg');
    mkdirSync(data, { mode: 0o700 });
    run('chown', 'postgres', data);
    run(
      'setpriv',
      '--reuid=postgres',
      '--regid=postgres',
      '--init-groups',
      `${PROGRAMS}/initdb`,
      '-D',
      data,
      '-A',
      'trust',
      '--wal-segsize=1',
      '--no-instructions',
    );
  } finally {
    run('umount', first.mount);
  }
  copyFileSync(first.backing, second.backing, constants.COPYFILE_FICLONE);
};

const application = (directory: string, node: string) => {
  const { mount, sockets } = placesOf(directory, node);
  const data = join(mount, 'pg');
  return {
    start: [
      `${PROGRAMS}/postgres`,
      '-D',
      data,
      '-k',
      sockets,
      '-c',
      'listen_addresses=',
      '-c',
      'shared_buffers=16MB',
      '-c',
      'max_wal_size=32MB',
    ],
    stop: [`${PROGRAMS}/pg_ctl`, '-D', data, '-m', 'fast', '-w', 'stop'],
    monitor: [`${PROGRAMS}/pg_isready`, '-q', '-h', sockets],
  };
};

/** data → fs → pg. */
export const postgresGroup = (directory: string, mode: 'sync' | 'async') => {
  const data = (node: string) => (({ backing, metadata, device }) => ({ backing, metadata, device }))(placesOf(directory, node));
  return {
    prefer: ['a', 'b'],
    failover: { max: 1000, within: '1h' },
    resources: {
      data: { use: 'disk-mirror', mode, attach: 'nbdfuse', sparse: true, ...data('a'), on: { b: data('b') } },
      fs: {
        use: 'filesystem',
        device: '${data.device}',
        type: 'ext4',
        mount: placesOf(directory, 'a').mount,
        on: { b: { mount: placesOf(directory, 'b').mount } },
      },
      pg: {
        use: 'app-script',
        mode: 'foreground',
        user: 'postgres',
        every: '1s',
        ...application(directory, 'a'),
        on: { b: application(directory, 'b') },
      },
    },
  };
};

const psql = (directory: string, node: string): readonly string[] => [
  '-XAtq',
  '-h',
  placesOf(directory, node).sockets,
  '-U',
  'postgres',
  '-d',
  'postgres',
  '-v',
  'ON_ERROR_STOP=1',
];

export const query = (directory: string, node: string, sql: string): string => run('psql', ...psql(directory, node), '-c', sql).trim();

/** Commits one numbered transaction after the other until the server is gone. What it saw committed stays. */
export class Committer {
  readonly committed: Commit[] = [];
  #child: ChildProcessWithoutNullStreams | null = null;
  #next = 1;

  constructor(private readonly directory: string) {}

  start(node: string): void {
    const child = spawn('psql', psql(this.directory, node), { stdio: 'pipe' });
    this.#child = child;
    // It ends with its server: what it was told until then is what counts.
    child.stdin.on('error', () => undefined);
    let rest = '';
    const ask = () => child.stdin.write(`INSERT INTO numbered VALUES (${this.#next}) RETURNING number;\n`);
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = `${rest}${chunk.toString()}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        this.committed.push({ number: Number(line), atMs: systemClock.nowMs() });
        // A number that was asked for and never answered is not used again.
        this.#next = Number(line) + 1;
      }
      if (lines.length > 0) ask();
    });
    ask();
  }

  /** The server has been ended: so has this, and the next number is one that nobody has asked for. */
  end(): void {
    this.#child?.kill('SIGKILL');
    this.#child = null;
    this.#next += 1;
  }

  /** Of those seen committed, the ones that are not in the database of this node. */
  missing(node: string): readonly Commit[] {
    const there = new Set(query(this.directory, node, 'SELECT number FROM numbered').split('\n').map(Number));
    return this.committed.filter(({ number }) => !there.has(number));
  }
}
