// The mirror's judges (SAFETY c.1, I-D1 to I-D9): they look at the simulated disks, at the store's record, and at the answers that the
// client gets. Of the engine's own state they use what it shows to everybody: its view, its bitmap, the superblock it writes.
import type { NodeId } from '../../../core/model/ids.js';
import { decodePage } from '../../../core/ownership/page-codec.js';
import type { ClusterWorld } from '../../../core/simulation/cluster-world.js';
import { leasePage } from '../../../core/system/paths.js';
import type { SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';
import type { Mode } from '../../../plugins/disk-mirror/words.js';
import type { SimCopy } from './copies.js';
import type { MirrorLife } from './mirror-life.js';
import { type Asked, Promises } from './promises.js';
import { SECTOR, stampsOf } from './stamps.js';

const NEVER_EXPORTED = new Set(['Diskless', 'Inconsistent', 'Outdated', 'Failed']);

export class Judge {
  readonly promises: Promises;
  readonly #cluster: ClusterWorld;
  readonly #copies: ReadonlyMap<NodeId, SimCopy>;
  readonly #mode: Mode;
  /** The highest epoch under which a write was answered, and where. */
  #newest = { epoch: 0, node: '' };
  answered = 0;

  constructor(cluster: ClusterWorld, copies: ReadonlyMap<NodeId, SimCopy>, mode: Mode) {
    this.#cluster = cluster;
    this.#copies = copies;
    this.#mode = mode;
    const [{ data }] = [...copies.values()] as [SimCopy];
    this.promises = new Promises([...copies.keys()], data.sectors, mode === 'async', (invariant, sentence) =>
      cluster.world.violate(invariant, sentence),
    );
    this.#followRecord();
  }

  /** Whether the record calls this copy in sync, as it is now. */
  counts(id: NodeId): boolean {
    const node = this.#cluster.node(id);
    const entry = this.#cluster.oracle.lastRecord?.inSync.find((one) => one.id === id);
    return node.powered && entry?.bootId === node.bootId;
  }

  // --- the client

  begins(life: MirrorLife, sector: number, count: number, zero = false): Asked {
    return this.promises.begin(life.process.node.id, sector, count, zero);
  }

  answersWrite(life: MirrorLife, asked: Asked, error: string | null, fua: boolean): void {
    const { id } = life.process.node;
    if (error !== null) return this.promises.refused(id, asked);
    if (!this.#mayAnswer(life)) return;
    this.#onlyNewest(life);
    this.promises.acked(id, asked, this.counts(this.#other(id)));
    this.#everywhere(id, asked);
    if (fua) this.#durable(id, asked);
  }

  flushes(life: MirrorLife): (error: string | null) => void {
    const { id } = life.process.node;
    const kept = this.promises.flushAsked(id);
    return (error) => {
      if (error === null && this.#mayAnswer(life)) kept(this.counts(this.#other(id)));
    };
  }

  /** An old primary that has not heard of the new one yet may show what is old (SAFETY a.7b): that is not promised. */
  reads(life: MirrorLife, sector: number): (into: Buffer, error: string | null) => void {
    const { id } = life.process.node;
    const since = this.promises.oracle.now();
    return (into, error) => {
      if (error !== null || life.servingEpoch !== this.#cluster.oracle.highestEpoch) return;
      this.#cluster.world.mark('reads judged');
      stampsOf(into).forEach((stamp, at) => {
        const allowed = this.promises.oracle.words(sector + at);
        if (!this.promises.oracle.saw(sector + at, stamp, since))
          this.#violate('I-D1', `a read of sector ${sector + at} at ${id} saw write ${stamp}, possible were ${allowed}`);
      });
    };
  }

  // --- the copies

  /** I-D5, I-D8: a superblock is asked for. */
  superblock({ node }: SimCopy, before: SuperblockState, after: SuperblockState): void {
    if (after.maxEpochSeen < before.maxEpochSeen)
      this.#violate('I-D8', `${node.id} forgets epoch ${before.maxEpochSeen}: its superblock says ${after.maxEpochSeen}`);
    if (after.role === 'primary' && before.role !== 'primary' && NEVER_EXPORTED.has(before.disk))
      this.#violate('I-D5', `${node.id} becomes primary of epoch ${after.primaryEpoch} with a copy that is ${before.disk}`);
  }

  /** The service opens: what it is, is durable (SAFETY b.4). */
  serves(life: MirrorLife, durable: SuperblockState): void {
    const { id } = life.process.node;
    const { role, primaryEpoch, maxEpochSeen, disk } = durable;
    const epoch = life.servingEpoch ?? 0;
    if (role !== 'primary' || primaryEpoch !== epoch || maxEpochSeen < epoch || NEVER_EXPORTED.has(disk))
      this.#violate(
        'I-D5',
        `${id} serves under epoch ${epoch}, its superblock says ${role} of ${primaryEpoch}, ${disk}, ${maxEpochSeen} seen`,
      );
    this.promises.serves(id, () => this.#cells(id));
  }

  /** I-D3: a bit is durable at the primary, or its extent in the log, before anything changes either copy. */
  changes({ node, durable }: SimCopy, primary: MirrorLife | undefined): void {
    if (primary?.store == null || durable?.disk === 'Inconsistent' || primary.store.isActive(0)) return;
    this.#violate('I-D3', `${node.id} writes what the primary on ${primary.process.node.id} has not noted as changing`);
  }

  /** I-D8: under the epoch of a primary nothing of another one is written. */
  written(life: MirrorLife | undefined, bytes: Buffer): void {
    if (life?.servingEpoch == null) return;
    const { id } = life.process.node;
    const foreign = stampsOf(bytes).find((stamp) => stamp !== 0 && this.promises.issuer.get(stamp) !== id);
    if (foreign !== undefined && !this.#copies.get(id)!.data.seen.has(foreign))
      this.#violate('I-D8', `${id} serves under epoch ${life.servingEpoch}, and write ${foreign} of its peer is written there`);
  }

  /** I-D4: where both hold themselves for good, a chunk that differs is dirty somewhere; I-D7: where none is dirty, all is equal. */
  compare(lives: readonly MirrorLife[]): void {
    const [one, other] = lives;
    if (one?.attached == null || other?.attached == null || one.running === null || other.running === null) return;
    const views = [one.running.view(), other.running.view()];
    if (views.some(({ disk }) => disk !== 'UpToDate' && disk !== 'Consistent')) return;
    const [left, right] = [one.copy.data.cells, other.copy.data.cells];
    this.#cluster.world.mark('copies compared');
    if (left.equals(right)) return;
    const { chunkBytes, bits } = one.attached;
    for (let at = 0; at < left.length; at += chunkBytes) {
      if (left.subarray(at, at + chunkBytes).equals(right.subarray(at, at + chunkBytes))) continue;
      const chunk = at / chunkBytes;
      if (!bits.has(chunk) && !other.attached.bits.has(chunk))
        return this.#violate('I-D4', `chunk ${chunk} differs, and is dirty on neither side`);
    }
  }

  /** I-D7, I-D1: nothing is written any more, all is flushed. */
  same(): void {
    const [one, other] = [...this.#copies.values()] as [SimCopy, SimCopy];
    const sector = stampsOf(one.data.cells).findIndex((stamp, at) => stamp !== other.data.cells.readUInt32LE(at * SECTOR));
    if (sector >= 0) this.#violate('I-D7', `when all is flushed, sector ${sector} differs between the copies`);
    this.promises.check(one.node.id, this.#cells(one.node.id));
  }

  // --- what is behind it

  /** W2: an answer is given under a lease that is held. */
  #mayAnswer(life: MirrorLife): boolean {
    this.answered += 1;
    const { process } = life;
    const { node } = process;
    const { world, group } = this.#cluster;
    world.mark('answers judged');
    // Paused since it looked: nothing tells when (SAFETY a.3, residual risk).
    if (process.trueMs !== world.nowMs) return true;
    const bytes = node.disk.peekBytes(leasePage(node.paths, group));
    const page = bytes === null ? null : decodePage(bytes);
    const held = page?.state === 'HELD' && page.bootId === node.bootId && Number(page.deadlineMonoNs) / 1e6 >= node.monoMs(world.nowMs);
    if (!held || page.epoch !== life.servingEpoch)
      this.#violate(
        'W2',
        `${node.id} answers under epoch ${life.servingEpoch}, and its lease page says ${page?.state}, epoch ${page?.epoch}`,
      );
    return true;
  }

  /** At most one node completes writes, under `preempt` too (SAFETY a.7b). */
  #onlyNewest(life: MirrorLife): void {
    const epoch = life.servingEpoch ?? 0;
    const { id } = life.process.node;
    if (epoch < this.#newest.epoch)
      this.#violate('I-D1', `${id} completes a write of epoch ${epoch} after ${this.#newest.node} completed one of ${this.#newest.epoch}`);
    else this.#newest = { epoch, node: id };
  }

  /** I-D9: whoever is in sync by the record has it, or what has overwritten it since. */
  #everywhere(id: NodeId, { stamp, sector, count }: Asked): void {
    const peer = this.#other(id);
    if (this.#mode !== 'sync' || stamp === 0 || !this.counts(peer)) return;
    const { data, durable } = this.#copies.get(peer)!;
    const { seen } = data;
    // I-D8: a newer epoch is durable there before anything is answered under it.
    if (durable === null || durable.maxEpochSeen < this.#newest.epoch)
      this.#violate('I-D8', `${peer} answers under epoch ${this.#newest.epoch}, and durable there is ${durable?.maxEpochSeen}`);
    const there = this.#cells(peer).subarray(sector, sector + count);
    if (seen.has(stamp) || there.every((one) => one > stamp || one === 0)) return;
    this.#violate(
      'I-D9',
      `${id} answers write ${stamp} (${count} sectors at ${sector}); ${peer} is in sync by the record and never got it`,
    );
  }

  /** I-D2: durable on every copy in sync, or overwritten there. */
  #durable(id: NodeId, { stamp, sector, count }: Asked): void {
    for (const one of [id, this.#other(id)]) {
      if (one !== id && (this.#mode === 'async' || !this.counts(one))) continue;
      const durable = stampsOf(this.#copies.get(one)!.data.durable.subarray(sector * SECTOR, (sector + count) * SECTOR));
      const lacks = durable.findIndex((there) => there < stamp && there !== 0);
      if (lacks >= 0) this.#violate('I-D2', `${id} answers FUA write ${stamp}; it is not durable at ${one}, sector ${sector + lacks}`);
    }
  }

  #followRecord(): void {
    const { arbiter, oracle } = this.#cluster;
    const told = arbiter.listener!;
    let before = oracle.lastRecord;
    arbiter.listener = {
      ...told,
      written: (...write) => {
        told.written(...write);
        const now = oracle.lastRecord;
        const holder = now?.holder ?? before?.holder ?? null;
        for (const id of this.#copies.keys()) {
          const was = before?.inSync.find((entry) => entry.id === id);
          const is = now?.inSync.find((entry) => entry.id === id);
          if (was !== undefined && is === undefined) this.promises.removed(id);
          else if (before !== null && is !== undefined && is.bootId !== '' && is.bootId !== was?.bootId && id !== holder)
            this.promises.joined(id);
        }
        before = now;
      },
    };
  }

  #cells(id: NodeId): Float64Array {
    return stampsOf(this.#copies.get(id)!.data.cells);
  }

  #other(id: NodeId): NodeId {
    return [...this.#copies.keys()].find((one) => one !== id)!;
  }

  #violate(invariant: string, sentence: string): void {
    this.#cluster.world.violate(invariant, sentence);
  }
}
