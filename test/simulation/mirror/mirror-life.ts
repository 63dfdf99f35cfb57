// One life of a mirror process on a simulated node: the production volume, control socket, metadata store and link, put together as
// plugins/disk-mirror/process/mirror-process.ts does, with the simulated host behind every door. Its end is the end of its process:
// what is left of the object graph can do nothing.
import { reasonOf } from '../../../core/errors/errors.js';
import { GuardClient } from '../../../core/guard/client.js';
import type { ClusterWorld } from '../../../core/simulation/cluster-world.js';
import type { SimProcess } from '../../../core/simulation/sim-process.js';
import { guardSocket, leasePage } from '../../../core/system/paths.js';
import { openPageReader } from '../../../core/system/page-file.js';
import type { DiskMirrorOptions } from '../../../plugins/disk-mirror/agent/definition.js';
import { attachMetadata } from '../../../plugins/disk-mirror/metadata/attach.js';
import type { Attached, MetadataStore, SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';
import type { NbdExport } from '../../../plugins/disk-mirror/nbd/export.js';
import { ControlServer } from '../../../plugins/disk-mirror/process/control-server.js';
import type { Copy } from '../../../plugins/disk-mirror/process/copy.js';
import { controlSocket, resourceRunDir } from '../../../plugins/disk-mirror/process/places.js';
import type { VolumeView } from '../../../plugins/disk-mirror/process/protocol.js';
import { RunningVolume, type RunningVolumeOptions } from '../../../plugins/disk-mirror/process/running-volume.js';
import { closedView, viewOf, worthTelling } from '../../../plugins/disk-mirror/process/volume-view.js';
import { type SimCopy, VOLUME, VOLUME_BYTES } from './copies.js';
import type { SimTcp } from './sim-tcp.js';
import { watchedStore } from './watched-store.js';

/** What judges and clients want to know of a life, as it happens. */
export interface LifeWatcher {
  /** Another superblock is asked for, or found by attaching. */
  superblock(copy: SimCopy, before: SuperblockState, after: SuperblockState): void;
  /** It is about to be promoted: perhaps it is the primary from now on. */
  promoting(life: MirrorLife): void;
  /** The service is open: somebody can write. */
  serves(life: MirrorLife, service: NbdExport): void;
  /** It serves nobody any more, or the promotion did not happen. */
  idle(life: MirrorLife): void;
  ended(life: MirrorLife): void;
}

export interface LifeOptions {
  readonly cluster: ClusterWorld;
  readonly copy: SimCopy;
  readonly options: DiskMirrorOptions;
  readonly tcp: SimTcp;
  readonly watcher: LifeWatcher;
}

const PORT = 4480;
const AGAIN_MS = 1_000;
const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export class MirrorLife {
  readonly process: SimProcess;
  readonly #o: LifeOptions;
  readonly #control: ControlServer;
  readonly #host;
  attached: Attached | null = null;
  store: MetadataStore | null = null;
  running: RunningVolume | null = null;
  /** The epoch under which its service is open; null = it is not. */
  servingEpoch: number | null = null;
  /** As the freeze door has it: from before a promotion until nobody is served any more. */
  #mayServe = false;
  #because = 'its copy was not opened yet';
  #told: VolumeView | null = null;

  constructor(process: SimProcess, options: LifeOptions) {
    this.process = process;
    this.#o = options;
    const { node } = process;
    const { config } = options.cluster;
    const peer = config.nodes.find(({ id }) => id !== node.id)!.id;
    this.#host = { node: node.id, peer, mode: options.options.mode, pid: process.pid };
    this.#control = new ControlServer({
      sockets: node.sockets.forProcess(process),
      path: controlSocket(this.runDir),
      view: () => this.view(),
      carryOut: async (order) => {
        if (this.running === null) throw new Error(`this node’s copy cannot be used: ${this.#because}`);
        return (await this.running.carryOut(order as Parameters<RunningVolume['carryOut']>[0])) ?? null;
      },
      trouble: () => undefined,
    });
  }

  get runDir(): string {
    return resourceRunDir(this.process.node.paths.run, this.#o.cluster.group, VOLUME);
  }

  get copy(): SimCopy {
    return this.#o.copy;
  }

  view(): VolumeView {
    return this.running === null ? closedView(this.#host, this.#because) : viewOf(this.#host, this.running);
  }

  async start(): Promise<void> {
    const { node } = this.process;
    node.os.freezers.set(`freeze ${controlSocket(this.runDir)}`, () => this.#freeze());
    this.process.onEnd(() => this.#ended());
    await this.#control.listen();
    await this.#open();
  }

  /** The copy is opened, or tried again: a host whose disk does not answer has a mirror that says so. */
  async #open(): Promise<void> {
    const { copy, cluster, watcher } = this.#o;
    const { node, clock } = this.process;
    const expected = { cluster: cluster.config.cluster, group: cluster.group, volume: VOLUME, node: node.id, sizeBytes: VOLUME_BYTES };
    try {
      const { attached, store } = await attachMetadata(copy.metadata.forProcess(this.process), { name: 'the metadata', expected });
      if (!this.process.alive) return;
      this.attached = attached;
      let asked = attached.superblock;
      if (copy.durable !== null) watcher.superblock(copy, copy.durable, asked);
      copy.durable = asked;
      const watched = watchedStore(store, {
        asked: (state) => {
          watcher.superblock(copy, asked, state);
          asked = state;
        },
        durable: (state) => {
          copy.durable = state;
        },
      });
      this.store = store;
      const opened: Copy = { data: copy.data.forProcess(this.process), store: watched, attached, close: () => store.close() };
      this.running = new RunningVolume(this.#volumeOptions(opened));
    } catch (error) {
      this.#because = reasonOf(error);
      this.#say('mirror.closed', this.#because);
      clock.after(AGAIN_MS, () => void this.#open());
      return;
    }
    await this.running.start().catch((error: unknown) => this.#say('mirror.resume-refused', reasonOf(error)));
  }

  #volumeOptions(copy: Copy): RunningVolumeOptions {
    const { cluster, options, tcp } = this.#o;
    const { process } = this;
    const { node, clock } = process;
    const { config, group } = cluster;
    const networksOf = (id: string) => config.nodes.find((one) => one.id === id)!.networks;
    const files = node.disk.forProcess(process);
    const guard = new GuardClient({
      sockets: node.sockets.forProcess(process),
      path: guardSocket(node.paths),
      clock,
      role: 'mirror',
      pid: process.pid,
      startTime: String(process.pid),
    });
    guard.start();
    const page = openPageReader(
      leasePage(node.paths, group),
      { bootId: node.bootId, monoNs: () => BigInt(Math.round(clock.nowMs() * 1e6)), bootOffsetMs: () => node.bootOffsetMs() },
      files,
    );
    return {
      copy,
      runDir: this.runDir,
      changed: () => this.#changed(),
      door: { serve: () => this.#promoting(), idle: () => this.#idle() },
      doors: {
        network: tcp.forProcess(process),
        serve: async ({ exports: [service] }) => {
          this.#opened(service!, page.read().epoch);
          return { address: 'simulated', adopt: () => undefined, shutDown: async () => ({ underWay: 0 }) };
        },
        kernel: () => ({ there: () => null, attach: () => Promise.reject(new Error('no kernel here')), detach: async () => undefined }),
      },
      context: {
        cluster: config.cluster,
        node: node.id,
        bootId: node.bootId,
        group,
        resource: VOLUME,
        options,
        settings: undefined,
        networks: networksOf(node.id),
        peers: [{ node: this.#host.peer, networks: networksOf(this.#host.peer), options }],
        port: PORT,
        timing: config.timing,
        paths: node.paths,
        keys: { current: { id: 1, bytes: new Uint8Array(32) }, all: [] },
        leasePage: page,
        guard,
        clock,
        random: process.chance.stream('mirror'),
        files,
        sockets: node.sockets.forProcess(process),
        exec: undefined as never,
        log: QUIET,
        journal: { write: ({ kind, because }) => this.#say(kind, because ?? '') },
        alarms: { set: () => undefined },
        fail: (error) => {
          this.#say('failed', reasonOf(error));
          process.kill();
          throw error;
        },
      },
    };
  }

  #opened(service: NbdExport, epoch: number): void {
    const { process } = this;
    if (!process.alive) return;
    this.servingEpoch = epoch;
    process.node.os.begin(this.#o.cluster.group, 'export', epoch, 'the mirror', VOLUME);
    this.#o.watcher.serves(this, service);
  }

  #promoting(): void {
    this.#mayServe = true;
    this.#o.watcher.promoting(this);
  }

  #idle(): void {
    if (!this.process.alive) return;
    this.#mayServe = false;
    this.servingEpoch = null;
    this.process.node.os.end(this.#o.cluster.group, 'export', 'the mirror', VOLUME);
    this.#o.watcher.idle(this);
  }

  /** As emergency-stop: who serves is asked to freeze, and killed when it does not answer in 300 ms. */
  #freeze(): void {
    const { process } = this;
    if (!process.alive || !this.#mayServe) return;
    if (process.blocked) return process.kill();
    process.deliver('socket', () => this.running?.freeze('the hard stop of the group asks for it'));
    this.#idle();
  }

  #ended(): void {
    const { node } = this.process;
    this.servingEpoch = null;
    node.os.end(this.#o.cluster.group, 'export', 'the end of the mirror', VOLUME);
    this.#o.watcher.ended(this);
  }

  #changed(): void {
    const view = this.view();
    if (this.#told !== null && !worthTelling(this.#told, view)) return;
    this.#told = view;
    if (this.process.alive) this.#control.tell(view);
  }

  #say(kind: string, because: string): void {
    const { node, alive } = this.process;
    if (!alive) return;
    node.world.mark(kind);
    node.world.say(`${node.id} mirror`, kind, because);
  }
}
