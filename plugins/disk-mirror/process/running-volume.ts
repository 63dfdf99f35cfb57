// A volume whose copy is open: the engine between its data, its metadata, the peer and the application. Everything that decides
// is the engine’s; here its ports are filled and its service is opened and closed. Invariant: the NBD service exists only while
// the engine serves.
import { hash } from 'node:crypto';
import { type FreezeDoor, type ProcessContext, type Timer, UnderstudyError } from 'understudy/plugin';
import type { DiskMirrorOptions } from '../agent/definition.js';
import { kernelDoor } from '../attach/kernel-door.js';
import { SECTOR_BYTES } from '../words.js';
import { createEngine } from '../engine/engine.js';
import type { Engine, EnginePorts, EngineView } from '../engine/ports.js';
import type { TcpPeerLink } from '../link/tcp-peer-link.js';
import type { NbdServer } from '../nbd/server.js';
import type { NbdExport } from '../nbd/export.js';
import { transmissionFlags } from '../nbd/option-codec.js';
import { allZero } from './all-zero.js';
import { answered } from './answered.js';
import type { Copy } from './copy.js';
import { engineOptions } from './engine-options.js';
import { exportedVolume } from './exported.js';
import { leaseNow } from './lease.js';
import { dirtyPart, lookAt } from './looked-at.js';
import { linkToPeer } from './paths-to-peer.js';
import { exportName, serviceSocket } from './places.js';
import type { Order, VolumeView } from './protocol.js';
import { takeUp } from './take-up.js';
import { HOST_DOORS, type VolumeDoors } from './volume-doors.js';
import type { Shown } from './volume-view.js';

/** Often enough that a lease that is over ends the answers at once; a look costs a microsecond. */
const TICK_MS = 20;
/** What is shown is put together so often where nobody told of a change: it costs several ticks. */
const SHOWN_TICKS = 10;
/** So long an application on a kernel device waits for the next mirror process before it sees errors. */
const DEAD_CONNECTION_S = 600;
const HASH_BYTES = 32;
const CLIENT_GONE_MS = 5_000;

export interface RunningVolumeOptions {
  readonly context: ProcessContext<DiskMirrorOptions>;
  readonly copy: Copy;
  readonly runDir: string;
  /** Something that a view shows may have changed. */
  readonly changed: () => void;
  /** Shown that nobody is served, where nobody is. */
  readonly door: Pick<FreezeDoor, 'serve' | 'idle'>;
  readonly doors?: VolumeDoors;
}

export class RunningVolume {
  readonly #o: RunningVolumeOptions;
  readonly #engine: Engine;
  readonly #link: TcpPeerLink;
  readonly #export: NbdExport;
  readonly #kernel: ReturnType<VolumeDoors['kernel']>;
  #ticks: Timer | null = null;
  #service: NbdServer | null = null;
  #client = false;
  resyncs: VolumeView['resyncs'] = { begun: 0, ended: 0 };
  /** As its last hello had it: who is in sync is in sync in one boot. */
  #peerBootId: string | null = null;

  constructor(options: RunningVolumeOptions) {
    this.#o = options;
    const { context, copy, runDir, doors = HOST_DOORS } = options;
    const { group, resource } = context;
    const [peer] = context.peers;
    if (peer === undefined) throw new UnderstudyError('CONFIG_INVALID', `${group}.${resource} has no peer`);
    this.#link = linkToPeer(
      context,
      {
        up: (generation, path) => {
          this.#tell('mirror.link-up', `the mirror process of ${peer.node} is reached over ${path}`);
          this.#engine.linkUp(generation);
        },
        down: (generation, because) => {
          this.#tell('mirror.link-down', because);
          this.#engine.linkDown(generation, because);
        },
        frame: (generation, frame) => {
          if (frame.t === 'hello') this.#peerBootId = frame.copy.bootId;
          this.#engine.frame(generation, frame);
        },
      },
      (kind, because) => this.#tell(kind, because),
      doors.network,
    );
    this.#engine = createEngine({
      ports: this.#ports(peer.node),
      attached: copy.attached,
      options: engineOptions(context, peer.node),
    });
    this.#export = exportedVolume({
      name: exportName(group, resource),
      description: `understudy mirror of ${context.cluster}`,
      engine: this.#engine,
      data: copy.data,
      bits: copy.attached.bits,
      attached: (there) => {
        this.#client = there;
        options.changed();
      },
    });
    this.#kernel = doors.kernel({
      runDir,
      wanted: context.options.nbdDevice ?? null,
      backend: exportName(group, resource),
      sizeBytes: copy.data.sizeBytes,
      blockBytes: SECTOR_BYTES,
      serverFlags: transmissionFlags(this.#export, false),
      deadConnectionS: DEAD_CONNECTION_S,
      door: kernelDoor,
      serve: (fd, closed) => (this.#service === null ? closed('it does not serve') : this.#service.adopt(fd, closed)),
      lost: (because) => {
        this.#tell('mirror.device-lost', `the connection of the kernel’s device ended: ${because}`);
        this.#takeUpDevice();
      },
    });
  }

  /** Time begins to pass, the peer is looked for; and what an earlier process served under a lease that is still held is served again. */
  async start(): Promise<void> {
    const { context, changed } = this.#o;
    let ticks = 0;
    const tick = () => {
      // Whole milliseconds: they go over the wire as well.
      this.#engine.tick(Math.trunc(context.clock.nowMs()));
      if (ticks % SHOWN_TICKS === 0) changed();
      ticks += 1;
      this.#ticks = context.clock.after(TICK_MS, tick);
    };
    tick();
    this.#link.start();
    await this.#resume();
  }

  view(): EngineView {
    return this.#engine.view();
  }

  get copy(): Shown['copy'] {
    const { data, attached } = this.#o.copy;
    const { chunkBytes, superblock } = attached;
    return { sizeBytes: data.sizeBytes, chunkBytes, volumeUuid: superblock.identity.volumeUuid };
  }

  get path(): string | null {
    return this.#link.path();
  }

  get client(): boolean {
    return this.#client;
  }

  get kernelDevice(): string | null {
    return this.#kernel.there();
  }

  async #resume(): Promise<void> {
    const { role, primaryIndicator, primaryEpoch } = this.#o.copy.attached.superblock;
    const page = this.#o.context.leasePage.read();
    if (role !== 'primary' || !primaryIndicator || !page.held || page.epoch !== primaryEpoch) return;
    this.#tell('mirror.resume', `this node still holds epoch ${primaryEpoch}, under which it was primary`);
    await this.#promote(primaryEpoch, false);
    if (this.#kernel.there() !== null) this.#takeUpDevice(0);
  }

  /** The application on the device waits; it gets a connection again, or the driver gives up. */
  #takeUpDevice(waitMs?: number): void {
    const { clock, log } = this.#o.context;
    const how = {
      clock,
      untilMs: clock.nowMs() + DEAD_CONNECTION_S * 1_000,
      wanted: () => this.#service !== null && this.#kernel.there() !== null,
      attach: () => this.#kernel.attach(),
      trouble: (because: string) => log.warn('the kernel’s device could not be taken up again', { because }),
    };
    takeUp(how, waitMs);
  }

  async carryOut(order: Exclude<Order, { readonly do: 'view' | 'watch' }>): Promise<unknown> {
    switch (order.do) {
      case 'promote':
        return this.#promote(order.epoch, order.force);
      case 'demote':
        return this.#demote();
      case 'attach':
        if (this.#service === null) throw new UnderstudyError('REFUSED', 'it does not serve: there is nothing to attach');
        return this.#kernel.attach();
      case 'detach':
        return this.#kernel.detach();
      case 'freeze':
        return this.#engine.freeze(order.because);
      case 'pause':
        return this.#engine.pause();
      case 'resume':
        return this.#engine.resume();
      case 'resync':
        return answered((answer) => this.#engine.resync(order.kind, answer));
      case 'verify':
        return answered((answer) => this.#engine.verify({ repair: order.repair }, answer));
      case 'resolve':
        return answered((answer) => this.#engine.resolveAsVictim(answer));
      case 'look':
        return lookAt(this.#engine, this.#o.copy.attached.bits);
      case 'dirty':
        return dirtyPart(this.#o.copy.attached.bits, order.from, this.copy.sizeBytes);
    }
  }

  freeze(because: string): void {
    this.#engine.freeze(because);
  }

  /** This process ends; what it serves is taken up by the next one. Nothing is flushed, demoted or told. */
  async close(): Promise<void> {
    this.#ticks?.cancel();
    await this.#link.close();
    await this.#o.copy.close();
  }

  async #promote(epoch: number, force: boolean): Promise<void> {
    const { context, runDir, door, doors = HOST_DOORS } = this.#o;
    // Before the engine takes a first request, and back where it takes none.
    door.serve();
    try {
      await answered((answer) => this.#engine.promote(epoch, { force }, answer));
    } catch (error) {
      if (!this.#engine.view().serving) door.idle();
      throw error;
    }
    if (this.#service !== null) return;
    this.#service = await doors.serve({
      exports: [this.#export],
      address: { kind: 'unix', path: serviceSocket(runDir) },
      clock: context.clock,
      tell: ({ kind, ...rest }) => context.log.debug(`nbd ${kind}`, rest),
    });
  }

  async #demote(): Promise<void> {
    const device = this.#kernel.there();
    if (device !== null) throw new UnderstudyError('REFUSED', `${device} is still set up on it: detach it first`);
    if (!(await this.#clientGone()))
      throw new UnderstudyError('REFUSED', `an NBD client is still connected after ${CLIENT_GONE_MS} ms: the application must stop first`);
    await answered((answer) => this.#engine.demote(answer));
    this.#o.door.idle();
    const service = this.#service;
    this.#service = null;
    await service?.shutDown();
  }

  /** The end of a process that was just killed takes its way through the socket. False when its connection lives on. */
  async #clientGone(): Promise<boolean> {
    const { clock } = this.#o.context;
    for (const endMs = clock.nowMs() + CLIENT_GONE_MS; this.#client && clock.nowMs() < endMs; ) await clock.sleep(TICK_MS);
    return !this.#client;
  }

  #tell(kind: string, because: string, data?: Readonly<Record<string, unknown>>): void {
    const { group, resource, journal } = this.#o.context;
    const { begun, ended } = this.resyncs;
    if (kind === 'mirror.resync-start') this.resyncs = { begun: begun + 1, ended };
    if (kind === 'mirror.resync-end') this.resyncs = { begun, ended: ended + 1 };
    journal.write({ kind, group, resource, because, ...(data === undefined ? {} : { data }) });
    this.#o.changed();
  }

  #ports(peer: string): EnginePorts {
    const { context, copy } = this.#o;
    const { group, node, guard, random, leasePage, timing } = context;
    return {
      data: copy.data,
      metadata: copy.store,
      send: (frame) => this.#link.send(frame),
      sendBrief: (frame) => this.#link.send(frame, false),
      queuedBytes: () => this.#link.queuedBytes(),
      // What the link hands on is the listener's.
      keep: (bytes) => bytes,
      recycle: (bytes) => this.#link.recycle(bytes),
      hash: (bytes, done) => done(hash('blake2b512', bytes, 'buffer').subarray(0, HASH_BYTES)),
      allZero,
      dropLink: (because, forGood) => this.#link.drop(because, forGood),
      reconnect: () => this.#link.reconnect(),
      lease: leaseNow(leasePage, node, peer),
      inSync: (change, { epoch, counter, random: chance }, answer) =>
        void guard
          .inSync({
            group,
            change,
            peer,
            bootId: change === 'add' ? this.#peerBootId : null,
            epoch: leasePage.read().epoch,
            generation: `${epoch}.${counter}.${chance.toString(16)}`,
            limitMs: 2 * timing.attemptMs,
          })
          .then(answer),
      fenceSelf: (epoch, because) => void guard.higherEpoch(group, epoch, because),
      random: () => Number.parseInt(random.hex(4), 16),
      tell: ({ kind, because, data }) => this.#tell(kind, because, data),
    };
  }
}
