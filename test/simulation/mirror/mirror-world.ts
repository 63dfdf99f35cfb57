// Mirrors beside the guards of a simulated cluster: on each node a copy and the process that carries it; the network between them;
// who writes; who judges. What happens to all of them is the plan's.
import type { NodeId } from '../../../core/model/ids.js';
import type { Beside, ClusterWorld } from '../../../core/simulation/cluster-world.js';
import type { Fault } from '../../../core/simulation/fault-plan.js';
import type { SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';
import type { NbdExport } from '../../../plugins/disk-mirror/nbd/export.js';
import { Client } from './client.js';
import { copyOn, type Images, replaceDisk, type SimCopy } from './copies.js';
import { Judge } from './judge.js';
import { type LifeWatcher, MirrorLife } from './mirror-life.js';
import { type MirrorPlan, optionsOf } from './mirror-plan.js';
import { SimTcp } from './sim-tcp.js';
import { stampsOf } from './stamps.js';

/** So often the copies are looked at side by side. */
const LOOK_MS = 500;
/** Before the end the client stops, and then everything is flushed. */
const QUIET_MS = 12_000;
const FLUSH_MS = 8_000;
const RESTART_MS = [150, 1_200] as const;
const REPAIRS_MS = [1_000, 10_000, 25_000, 40_000] as const;

export class MirrorWorld implements Beside, LifeWatcher {
  readonly judge: Judge;
  readonly client: Client;
  readonly lives = new Map<NodeId, MirrorLife>();
  readonly #cluster: ClusterWorld;
  readonly #plan: MirrorPlan;
  readonly #copies: ReadonlyMap<NodeId, SimCopy>;
  readonly #tcp: SimTcp;
  readonly #images: Images;

  constructor(cluster: ClusterWorld, plan: MirrorPlan, images: Images) {
    const { world, nodes, network, config } = cluster;
    this.#cluster = cluster;
    this.#plan = plan;
    this.#images = images;
    this.#copies = new Map(nodes.map((node) => [node.id, copyOn(node, images)]));
    this.#tcp = new SimTcp(network, config, nodes);
    const options = optionsOf(plan);
    this.judge = new Judge(cluster, this.#copies, options.mode);
    this.client = new Client(world, this.judge, [...this.#copies.values()][0]!.data.sectors);
    for (const node of nodes) {
      const copy = this.#copies.get(node.id)!;
      const chance = node.chance.stream('mirror supervisor');
      copy.data.onWrite = (bytes) => {
        this.judge.written(this.lives.get(node.id), bytes);
        this.judge.changes(
          copy,
          [...this.lives.values()].find(({ servingEpoch }) => servingEpoch !== null),
        );
      };
      node.onPowerLost.push(() => this.#powerLost(node.id));
      node.units.push({
        name: 'mirror',
        restartMs: () => chance.between(...RESTART_MS),
        start: (process) => {
          const life = new MirrorLife(process, { cluster, copy, options, tcp: this.#tcp, watcher: this });
          this.lives.set(node.id, life);
          void life.start();
        },
      });
    }
    this.#look();
    this.client.start();
    world.at(plan.endMs - QUIET_MS, () => (this.client.untilMs = world.nowMs));
    for (const beforeMs of [FLUSH_MS, FLUSH_MS / 2]) world.at(plan.endMs - beforeMs, () => this.client.flushAll());
    world.at(plan.endMs - 1, () => this.#checkLive());
  }

  // --- faults

  copyFault({ node, part, how, forMs }: Extract<Fault, { readonly kind: 'copy' }>): void {
    const copy = this.#copies.get(node)!;
    // One failure at a time: with the only whole copy's disk the data is gone, and that is promised to nobody.
    const other = [...this.#copies.keys()].find((id) => id !== node)!;
    const spare = this.judge.counts(other) && this.judge.promises.whole.get(other) === true;
    if (how !== 'slow' && !spare) return this.#cluster.world.mark('copy fault left out: no second copy');
    copy[part].trouble.begin(how, forMs);
  }

  resetLinks(): void {
    this.#tcp.resetAll();
  }

  heal(): void {
    for (const { data, metadata } of this.#copies.values()) {
      data.trouble.heal();
      metadata.trouble.heal();
    }
    for (const afterMs of REPAIRS_MS) this.#cluster.world.after(afterMs, () => this.#repair());
  }

  /** An operator switches on what was fenced. And where a disk has failed and the other copy has everything, it is another one now. */
  #repair(): void {
    for (const node of this.#cluster.nodes) if (!node.powered) node.powerOn();
    for (const life of this.lives.values()) {
      const { id } = life.process.node;
      const other = [...this.#copies.keys()].find((one) => one !== id)!;
      if (life.view().disk !== 'Failed') continue;
      if (this.judge.promises.whole.get(other) !== true) {
        // Two failures: whoever has to be forced now loses something, and an operator has to say so.
        this.#cluster.world.mark('a failed disk and no whole second copy: not promised');
        this.#cluster.world.endBy(this.#cluster.world.nowMs);
        return;
      }
      this.#cluster.world.say('operator', 'replaces a disk', id);
      this.judge.promises.spoilt(id);
      life.process.kill();
      replaceDisk(life.copy, this.#images);
    }
  }

  // --- lives

  superblock(copy: SimCopy, before: SuperblockState, after: SuperblockState): void {
    this.judge.superblock(copy, before, after);
  }

  promoting(life: MirrorLife): void {
    const { id } = life.process.node;
    this.judge.promises.promoting(id, () => stampsOf(life.copy.data.cells));
  }

  serves(life: MirrorLife, service: NbdExport): void {
    this.judge.serves(life, life.copy.durable!);
    this.client.serves(life, service);
  }

  idle(life: MirrorLife): void {
    this.client.gone(life);
  }

  ended(life: MirrorLife): void {
    const { id } = life.process.node;
    if (this.lives.get(id) === life) this.lives.delete(id);
    this.client.gone(life);
    this.judge.promises.died(id);
    // Semi-sync answers when the standby has received: with its process dies what it had not yet written.
    if (this.#plan.mirror['mode'] === 'semi-sync' && life.copy.durable?.role !== 'primary') this.judge.promises.spoilt(id);
  }

  #powerLost(id: NodeId): void {
    // The target of a resync gives way to its source: from then on the source has to live (SAFETY b.3, rows 13 and 14).
    for (const [one, copy] of this.#copies) if (copy.durable?.disk === 'Inconsistent') this.judge.promises.spoilt(one);
    this.judge.promises.spoilt(id);
  }

  // --- judging

  #look(): void {
    this.#cluster.world.after(LOOK_MS, () => {
      this.judge.compare([...this.lives.values()]);
      this.#look();
    });
  }

  #checkLive(): void {
    const { world } = this.#cluster;
    const lives = [...this.lives.values()];
    const serving = lives.filter(({ servingEpoch }) => servingEpoch !== null);
    const views = lives.map((life) => life.view());
    const together =
      views.length === 2 &&
      views.every(({ disk, connection, resync }) => disk === 'UpToDate' && connection === 'connected' && resync === null);
    const recorded = [...this.#copies.keys()].every((id) => this.judge.counts(id));
    const dirty = views.reduce((sum, { dirtyChunks }) => sum + dirtyChunks, 0);
    if (serving.length === 1 && together && recorded && dirty === 0 && this.client.underWay === 0) return this.judge.same();
    const words = lives.map((life) => {
      const { role, disk, connection, serving: serves, suspended, resync, dirtyChunks, because } = life.view();
      const flags = `${serves ? 'serving' : 'not serving'}, suspended ${suspended}, resync ${resync?.kind ?? null}, ${dirtyChunks} dirty`;
      return `${life.process.node.id} ${role} ${disk} ${connection} ${flags} (${because})`;
    });
    const inSync = this.#cluster.oracle.lastRecord?.inSync.map(({ id, bootId }) => `${id}/${bootId}`).join(' ');
    world.violate('mirror liveness', `not one mirror again: ${words.join('; ')}; in sync ${inSync}; ${this.client.underWay} requests wait`);
  }
}
