// One node of the fake world: what outlives a process (disk, metadata, boot) and the process itself, an engine with its ports.
import { createEngine } from '../../../plugins/disk-mirror/engine/engine.js';
import type { Engine, EngineOptions, EnginePorts } from '../../../plugins/disk-mirror/engine/ports.js';
import type { Frame } from '../../../plugins/disk-mirror/link/frames.js';
import type { SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';
import { type DiskState, type Generation, NO_GENERATION } from '../../../plugins/disk-mirror/words.js';
import type { Events, Life } from './events.js';
import { FakeDisk, SECTOR } from './fake-disk.js';
import { FakeMetadata, type Geometry } from './fake-metadata.js';
import { otherSide, type Side } from './fake-link.js';
import type { MirrorWorld } from './mirror-world.js';

export type NodeOptions = Pick<EngineOptions, 'mode' | 'order' | 'async'>;

export interface Process extends Life {
  readonly engine: Engine;
  /** Calls to the outside that it has made. */
  calls: number;
}

const RATE = { minBytesPerSecond: 100_000, maxBytesPerSecond: 1_000_000, targetLatencyMs: 50 };

export class MirrorNode {
  readonly side: Side;
  readonly disk: FakeDisk;
  readonly metadata: FakeMetadata;
  readonly #world: MirrorWorld;
  readonly #events: Events;
  #boot = 1;
  process: Process | null = null;
  /** It ends itself with its so-many-th call to the outside: power or process. */
  crashAt: { readonly call: number; readonly how: 'power' | 'process' } | null = null;
  readonly told: string[] = [];
  /** What the running process calls dirty; null = none runs. */
  dirtyNow: (chunk: number) => boolean | null = () => null;

  constructor(
    side: Side,
    world: MirrorWorld,
    events: Events,
    geometry: Geometry,
    start: { readonly current: Generation; readonly disk: DiskState },
  ) {
    this.side = side;
    this.#world = world;
    this.#events = events;
    this.disk = new FakeDisk((geometry.chunks * geometry.chunkBytes) / SECTOR, events);
    this.metadata = new FakeMetadata(firstSuperblock(side, world, geometry, start), geometry, events);
  }

  get bootId(): string {
    return `${this.side}-${this.#boot}`;
  }

  get engine(): Engine | null {
    return this.process?.engine ?? null;
  }

  start(): void {
    if (this.process !== null) return;
    const life: Life = { alive: true };
    const { store, attached } = this.metadata.attach(life);
    const world = this.#world;
    const events = this.#events;
    const ifAlive = (run: () => void): void => {
      if (life.alive && this.#mayCall()) run();
    };
    const data = this.disk.open(life, (sector, count) => world.aboutToWrite(this, sector, count));
    const counted = <T extends object>(door: T): T =>
      new Proxy(door, {
        get: (target, name) => {
          const member = Reflect.get(target, name) as unknown;
          if (typeof member !== 'function' || name === 'isActive') return member;
          return (...args: unknown[]) => {
            if (life.alive && this.#mayCall()) return Reflect.apply(member, target, args) as unknown;
            return undefined;
          };
        },
      });
    const send = (frame: Frame): boolean => {
      if (!life.alive || !this.#mayCall()) return false;
      world.aboutToSend(this, frame);
      return world.link.send(this.side, frame);
    };
    const ports: EnginePorts = {
      data: counted(data),
      metadata: counted(store),
      send,
      sendBrief: (frame) => send('bytes' in frame ? { ...frame, bytes: frame.bytes.slice() } : frame),
      queuedBytes: () => 0,
      keep: (bytes) => bytes.slice(),
      // Whoever reads them after that reads nonsense.
      recycle: (bytes) => void bytes.fill(0xdb),
      hash: (bytes, done) => events.later(life, () => done(bytes.slice())),
      allZero: (bytes, from, to) => bytes.subarray(from, to).every((byte) => byte === 0),
      dropLink: (because) => ifAlive(() => world.link.break(because, this.side)),
      reconnect: () => ifAlive(() => world.link.connect()),
      lease: () => (life.alive ? world.record.lease(this.side) : { state: 'suspended', epoch: 0, peerInSync: true, selfInSync: false }),
      inSync: (what, _generation, answer, bootId) => ifAlive(() => world.record.change(this.side, life, what, bootId, answer)),
      fenceSelf: (epoch) => ifAlive(() => world.fenced(this, epoch)),
      random: () => Math.floor(events.chance.next() * 2 ** 32),
      tell: ({ kind, because }) => {
        if (life.alive) this.told.push(`${kind}: ${because}`);
      },
    };
    const options: EngineOptions = {
      node: this.side,
      peer: otherSide(this.side),
      bootId: this.bootId,
      ...world.options,
      peerTimeoutMs: 1_000,
      resync: RATE,
      // A few sectors: histories come to it.
      targetLagBytes: 16,
      flushEveryMs: 100,
    };
    const { chunkBytes, chunksPerExtent } = this.metadata.geometry;
    const engine = createEngine({ ports, options, attached }, chunkBytes * chunksPerExtent);
    const process: Process = Object.assign(life, { engine, calls: 0 });
    this.process = process;
    this.dirtyNow = (chunk) => (life.alive ? attached.bits.has(chunk) : null);
    engine.tick(world.nowMs);
  }

  /** The process dies; what it had asked of the kernel happens or not. */
  kill(): void {
    if (this.process === null) return;
    this.process.alive = false;
    this.process = null;
    this.disk.settleAsked();
    this.metadata.settle();
    this.#world.died(this);
  }

  cutPower(): void {
    if (this.process !== null) this.process.alive = false;
    this.process = null;
    this.disk.cutPower();
    this.metadata.settle();
    this.#boot += 1;
    this.#world.lostPower(this);
    this.#world.died(this);
  }

  #mayCall(): boolean {
    const { process, crashAt } = this;
    if (process === null) return true;
    process.calls += 1;
    this.#world.calls += 1;
    if (crashAt === null || process.calls < crashAt.call) return true;
    this.crashAt = null;
    if (crashAt.how === 'power') this.cutPower();
    else this.kill();
    return false;
  }
}

const firstSuperblock = (
  side: Side,
  world: MirrorWorld,
  { chunks, chunkBytes }: Geometry,
  { current, disk }: { readonly current: Generation; readonly disk: DiskState },
): SuperblockState => ({
  identity: { cluster: 'c', group: 'g', volume: 'v', volumeUuid: '00', sizeBytes: chunks * chunkBytes },
  node: side,
  mode: world.options.mode,
  role: 'secondary',
  primaryIndicator: false,
  primaryEpoch: 0,
  maxEpochSeen: 0,
  disk,
  current,
  history: [],
  peer: { node: otherSide(side), bootId: '', disk, bitmapBase: NO_GENERATION },
  forced: false,
  cleanShutdown: true,
  fullSyncNeeded: false,
  resync: null,
});
