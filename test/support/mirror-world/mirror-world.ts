// Two engines, their disks, the link, the record and an application with an oracle (SAFETY b.8, c.1 I-D1..9). Nothing here decides
// what happens: a history (random, enumerated or written down) does. Every violation is a sentence in `violations`.
import { Chance } from '../../../core/simulation/chance.js';
import type { Frame } from '../../../plugins/disk-mirror/link/frames.js';
import type { Generation } from '../../../plugins/disk-mirror/words.js';
import { Events } from './events.js';
import { FakeLink, otherSide, type Side } from './fake-link.js';
import type { Geometry } from './fake-metadata.js';
import { FakeRecord } from './fake-record.js';
import { Application } from './application.js';
import { MirrorNode, type NodeOptions } from './mirror-node.js';
import { SECTOR } from './fake-disk.js';

export const GEOMETRY: Geometry = { chunks: 12, chunkBytes: 4 * SECTOR, chunksPerExtent: 3, slots: 3 };
const FIRST: Generation = { epoch: 0, counter: 1, random: 7 };

export class MirrorWorld {
  readonly options: NodeOptions;
  readonly chance: Chance;
  readonly events: Events;
  readonly link: FakeLink;
  readonly record: FakeRecord;
  readonly nodes: Record<Side, MirrorNode>;
  readonly application: Application;
  readonly violations: string[] = [];
  readonly story: string[] = [];
  nowMs = 0;
  calls = 0;
  /** Has every write that was answered, in its cache at least. */
  readonly intact: Record<Side, boolean>;

  constructor(options: NodeOptions, seed: number) {
    this.options = options;
    this.intact = { a: true, b: options.mode !== 'async' };
    this.chance = new Chance(seed).stream('history');
    this.events = new Events(new Chance(seed).stream('events'));
    this.link = new FakeLink(this.events, { a: () => this.#end('a'), b: () => this.#end('b') });
    this.record = new FakeRecord(
      this.events,
      (side) => this.nodes[side].bootId,
      (side, what) => this.#recordChanged(side, what),
    );
    const node = (side: Side) => new MirrorNode(side, this, this.events, GEOMETRY, { current: FIRST, disk: 'UpToDate' });
    this.nodes = { a: node('a'), b: node('b') };
    this.record.inSync = (['a', 'b'] as const).map((side) => ({ side, bootId: this.nodes[side].bootId }));
    this.application = new Application(this);
  }

  violate(sentence: string): void {
    this.violations.push(sentence);
  }

  note(sentence: string): void {
    this.story.push(`${this.nowMs} ${sentence}`);
  }

  tick(ms: number): void {
    this.nowMs += ms;
    for (const side of ['a', 'b'] as const) this.nodes[side].engine?.tick(this.nowMs);
  }

  /** Carries out so many events, or all there are. */
  run(steps: number): void {
    for (let step = 0; step < steps && this.violations.length === 0; step++) if (!this.events.step()) return;
  }

  /** Takes the lease for this node, as a guard does that may; null = it may not. */
  acquire(side: Side): number | null {
    if (!this.record.mayAcquire(side) || this.record.down) return null;
    const epoch = this.record.acquire(side);
    this.note(`${side} acquires epoch ${epoch}`);
    return epoch;
  }

  promote(side: Side, force = false): void {
    const { engine } = this.nodes[side];
    if (engine === null || this.record.holder !== side || this.record.pages[side].state !== 'held') return;
    const { epoch } = this.record;
    // It may be the last primary from now on, also where it dies before it says so.
    if (this.options.mode === 'async' && !this.intact[side]) this.application.doubt(this.nodes[side].disk.cells);
    engine.promote(epoch, { force }, (refused) => {
      this.note(`${side} promote(${epoch}): ${refused ?? 'serves'}`);
      if (refused === null) this.#takesOver(side);
    });
  }

  /** What it has is what there is, where nobody has more, and in async whatever the other may have. */
  #takesOver(side: Side): void {
    const { disk } = this.nodes[side];
    if (this.options.mode === 'async' && !this.intact[side]) {
      this.application.accept(disk.cells, side);
      this.intact[otherSide(side)] = false;
      this.intact[side] = true;
    }
    if (!this.intact.a && !this.intact.b) this.intact[side] = true;
  }

  /** The primary that serves under the lease of now, null = none. */
  primary(): MirrorNode | null {
    const serving = (['a', 'b'] as const).map((side) => this.nodes[side]).filter(({ engine }) => engine?.view().serving === true);
    return serving.find(({ side }) => this.record.holder === side) ?? serving[0] ?? null;
  }

  /** I-D3: a bit is durable at the primary before anything changes either copy. */
  aboutToWrite(node: MirrorNode, sector: number, count: number): void {
    if (node.engine?.view().role !== 'primary') return;
    this.#demandDurable(node, sector, count, 'writes');
  }

  aboutToSend(node: MirrorNode, frame: Frame): void {
    if (frame.t === 'write') this.#demandDurable(node, frame.offset / SECTOR, frame.bytes.length / SECTOR, 'sends');
    // I-D8: a newer epoch is durable before anything is answered under it.
    const { maxEpochSeen } = node.metadata.superblock;
    if (frame.t === 'decision' && frame.epoch > maxEpochSeen)
      this.violate(`I-D8: ${node.side} answers under epoch ${frame.epoch}, durable is ${maxEpochSeen}`);
    if (frame.t === 'zero' || frame.t === 'trim') this.#demandDurable(node, frame.offset / SECTOR, frame.length / SECTOR, 'sends');
  }

  fenced(node: MirrorNode, epoch: number): void {
    this.note(`${node.side} fences itself: epoch ${epoch}`);
    this.record.pages[node.side].state = 'over';
  }

  died(node: MirrorNode): void {
    this.note(`${node.side} died`);
    this.application.serverDied(node.side);
    // Semi-sync answers when the standby has received: with its process dies what it had not yet written.
    if (this.options.mode === 'semi-sync' && node.metadata.superblock.role !== 'primary') this.#spoilt(node.side);
    this.link.break(`${node.side} died`, node.side);
  }

  lostPower({ side }: MirrorNode): void {
    // The target of a resync gives way to its source: from then on the source has to live (b.3 rows 13 and 14).
    for (const one of ['a', 'b'] as const) if (this.nodes[one].metadata.superblock.disk === 'Inconsistent') this.intact[one] = false;
    this.#spoilt(side);
  }

  /** Who is taken out of the record is worth nothing from then on. In async the last primary is right, whatever the other has. */
  #recordChanged(side: Side, what: 'add' | 'remove'): void {
    this.intact[side] = what === 'add' && this.options.mode !== 'async';
    if (this.intact.a || this.intact.b) return;
    // The one that is left had lost something (semi-sync, two failures): what it has is what there is.
    this.application.lose();
    this.intact[otherSide(side)] = true;
  }

  #spoilt(side: Side): void {
    if (!this.intact[side]) return;
    this.intact[side] = false;
    if (!this.intact[otherSide(side)]) this.application.lose();
  }

  /** I-D4: where both hold themselves for good, a chunk that differs is dirty somewhere. Looked at in between events. */
  checkDirty(): void {
    const { a, b } = this.nodes;
    const good = ({ metadata, engine }: MirrorNode) => ['UpToDate', 'Consistent'].includes(engine?.view().disk ?? metadata.superblock.disk);
    if (!good(a) || !good(b)) return;
    const perChunk = GEOMETRY.chunkBytes / SECTOR;
    for (let sector = 0; sector < a.disk.cells.length; sector++) {
      if (a.disk.cells[sector] === b.disk.cells[sector]) continue;
      const chunk = Math.floor(sector / perChunk);
      if (!this.#dirty(a, chunk) && !this.#dirty(b, chunk))
        return this.violate(`I-D4: chunk ${chunk} differs and is dirty on neither side`);
    }
  }

  #dirty({ metadata, dirtyNow }: MirrorNode, chunk: number): boolean {
    return dirtyNow(chunk) ?? metadata.dirty(chunk);
  }

  #demandDurable({ metadata, side }: MirrorNode, sector: number, count: number, does: string): void {
    const perChunk = GEOMETRY.chunkBytes / SECTOR;
    for (let chunk = Math.floor(sector / perChunk); chunk <= Math.floor((sector + count - 1) / perChunk); chunk++)
      if (!metadata.dirty(chunk)) this.violate(`I-D3: ${side} ${does} chunk ${chunk} whose bit is not durable`);
  }

  #end(side: Side) {
    const { process } = this.nodes[side];
    const life = process ?? { alive: false };
    return {
      life,
      up: (generation: number) => process?.engine.linkUp(generation),
      down: (generation: number, because: string) => process?.engine.linkDown(generation, because),
      frame: (generation: number, frame: Frame) => process?.engine.frame(generation, frame),
    };
  }
}
