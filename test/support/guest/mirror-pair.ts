// A pair of real mirror processes on loopback addresses, each started, killed and started again by hand, with a lease that is
// held for a day: what a drill on a kernel needs and no more. Invariant: `end` ends both with their groups.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reasonOf } from '../../../core/errors/errors.js';
import { systemClock } from '../../../core/system/clock.js';
import { systemLocalSockets } from '../../../core/system/framed-socket.js';
import { order, viewVolume } from '../../../plugins/disk-mirror/process/control-client.js';
import { controlSocket, resourceRunDir } from '../../../plugins/disk-mirror/process/places.js';
import type { Order, VolumeView } from '../../../plugins/disk-mirror/process/protocol.js';

const VOLUME = fileURLToPath(new URL('../../bench/mirror/volume.js', import.meta.url));
const ADDRESS = { a: '127.0.0.1', b: '127.0.0.2' } as const;
const POLL_MS = 50;
const ORDER_MS = 60_000;

export type PairNode = keyof typeof ADDRESS;

export class MirrorPair {
  readonly #children = new Map<PairNode, ChildProcess>();

  constructor(
    private readonly directory: string,
    private readonly options: Readonly<Record<string, unknown>>,
    sizeBytes: number,
  ) {
    for (const node of ['a', 'b'] as const) {
      mkdirSync(join(directory, node), { recursive: true, mode: 0o700 });
      writeFileSync(this.image(node), '');
      truncateSync(this.image(node), sizeBytes);
    }
  }

  image(node: PairNode): string {
    return join(this.directory, node, 'data.img');
  }

  /** `held`: the lease is this node's. Resolves when its process answers. */
  async start(node: PairNode, held: boolean): Promise<void> {
    const log = openSync(join(this.directory, `${node}.log`), 'a');
    const peer = node === 'a' ? 'b' : 'a';
    const words = {
      node,
      peer,
      address: ADDRESS[node],
      'peer-address': ADDRESS[peer],
      backing: this.image(node),
      dir: join(this.directory, node),
    };
    const args = Object.entries(words).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn(process.execPath, [VOLUME, ...args, '--options', JSON.stringify(this.options), ...(held ? ['--held'] : [])], {
      stdio: ['ignore', log, log],
      detached: true,
    });
    this.#children.set(node, child);
    await this.until(node, 'its process answers', () => true);
  }

  signal(node: PairNode, signal: NodeJS.Signals): void {
    const pid = this.#children.get(node)?.pid;
    if (pid !== undefined) process.kill(-pid, signal);
  }

  /** Kills it and waits for the kernel to have taken it down. */
  async kill(node: PairNode): Promise<void> {
    const child = this.#children.get(node);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    this.signal(node, 'SIGKILL');
    await gone;
  }

  order(node: PairNode, what: Order): Promise<unknown> {
    return order(this.#client(node), what, ORDER_MS);
  }

  view(node: PairNode): Promise<VolumeView> {
    return viewVolume(this.#client(node), ORDER_MS);
  }

  async until(node: PairNode, what: string, holds: (view: VolumeView) => boolean, limitMs = 60_000): Promise<VolumeView> {
    let last = 'nothing';
    for (const endMs = systemClock.nowMs() + limitMs; systemClock.nowMs() < endMs; await systemClock.sleep(POLL_MS))
      try {
        const view = await viewVolume(this.#client(node), limitMs);
        if (holds(view)) return view;
        last = JSON.stringify(view);
      } catch (error) {
        // Not up yet.
        last = reasonOf(error);
      }
    throw new Error(`${node}: not within ${limitMs} ms: ${what}; last seen: ${last}\n${this.log(node)}`);
  }

  log(node: PairNode): string {
    return readFileSync(join(this.directory, `${node}.log`), 'utf8');
  }

  async end(): Promise<void> {
    for (const node of this.#children.keys()) {
      await this.kill(node);
    }
  }

  #client(node: PairNode) {
    const path = controlSocket(resourceRunDir(join(this.directory, node, 'run'), 'bench', 'data'));
    return { sockets: systemLocalSockets, clock: systemClock, path, volume: `bench/data on ${node}` };
  }
}
