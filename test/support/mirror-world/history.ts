// A random history: an application at work while processes die, power is cut, the link breaks, leases run out and are taken; then
// everything is healed, and both copies must come together with all that was promised. Each seed draws which faults there are and
// how many. The same seed is the same history.
import { otherSide, type Side } from './fake-link.js';
import type { NodeOptions } from './mirror-node.js';
import { MirrorWorld } from './mirror-world.js';

const SIDES: readonly Side[] = ['a', 'b'];

/** How often each happens, per thousand steps. */
interface Faults {
  readonly breakLink: number;
  readonly cutLink: number;
  readonly kill: number;
  readonly power: number;
  readonly crashAt: number;
  readonly suspend: number;
  readonly preempt: number;
  readonly storeDown: number;
  readonly demote: number;
  readonly pause: number;
  readonly order: number;
}

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly story: readonly string[];
  readonly answered: number;
  readonly calls: number;
  readonly told: readonly string[];
}

export const optionsOf = (seed: number): NodeOptions => {
  const full = seed % 10 === 9 ? 'behind' : 'throttle';
  const async = { maxLagBytes: 400, maxLagMs: 2_000, full } as const;
  const mode = (['sync', 'sync', 'sync', 'semi-sync', 'async'] as const)[seed % 5]!;
  return { mode, order: Math.floor(seed / 5) % 2 === 0 ? 'remote-first' : 'parallel', async };
};

export class History {
  readonly world: MirrorWorld;
  readonly #faults: Faults;
  readonly #chance;

  constructor(seed: number, options = optionsOf(seed)) {
    this.world = new MirrorWorld(options, seed);
    this.#chance = this.world.chance;
    const some = (most: number) => (this.#chance.next() < 0.5 ? this.#chance.next() * most : 0);
    this.#faults = {
      breakLink: some(30),
      cutLink: some(15),
      kill: some(15),
      power: some(15),
      crashAt: some(25),
      suspend: some(15),
      // The epoch fences writes that wait for the standby: in async nothing waits for it.
      preempt: options.mode === 'async' ? 0 : some(15),
      storeDown: some(10),
      demote: some(10),
      pause: some(8),
      order: some(5),
    };
  }

  run(steps: number): void {
    const { world } = this;
    for (const side of SIDES) world.nodes[side].start();
    world.link.connect();
    world.run(200);
    world.acquire('a');
    world.promote('a');
    world.run(200);
    for (let step = 0; step < steps && world.violations.length === 0; step++) {
      this.#step();
      if (step % 8 === 0) world.checkDirty();
    }
    if (world.violations.length === 0) this.heal();
  }

  #step(): void {
    const { world } = this;
    const chance = this.#chance;
    const draw = chance.next();
    if (draw < 0.55) world.run(1 + Math.floor(chance.next() * 12));
    else if (draw < 0.8) this.#applicationDoes();
    else if (draw < 0.86) world.tick(10 + Math.floor(chance.next() * 120));
    else if (draw < 0.91) this.#controllersDo();
    else this.#faultHappens();
  }

  #applicationDoes(): void {
    const { application, nodes } = this.world;
    const chance = this.#chance;
    const { sectors } = nodes.a.disk;
    const count = 1 + Math.floor(chance.next() * 6);
    // Often the same few sectors, so that writes overlap.
    const from = Math.floor(chance.next() * (chance.next() < 0.4 ? 8 : sectors - count));
    const draw = chance.next();
    if (draw < 0.62) application.write(from, count, chance.next() < 0.12);
    else if (draw < 0.74) application.flush();
    else if (draw < 0.94) application.read(from, count);
    else application.zero(from, count, chance.next() < 0.5);
  }

  /** What agents and guards do when they come round. */
  #controllersDo(): void {
    const { world } = this;
    const chance = this.#chance;
    for (const side of SIDES) {
      const node = world.nodes[side];
      if (node.process === null && chance.next() < 0.5) node.start();
      const page = world.record.pages[side];
      if (page.state === 'suspended' && world.record.holder === side && world.record.epoch === page.epoch && chance.next() < 0.5) {
        page.state = 'held';
        page.inSync = world.record.inSync;
      }
      if (page.epoch < world.record.epoch && page.state !== 'over' && chance.next() < 0.5) page.state = 'over';
      if (this.#isOver(side)) node.engine?.demote(() => undefined);
      if (world.record.holder === side && node.engine?.view().serving === false && chance.next() < 0.7) world.promote(side);
    }
    if (chance.next() < 0.6) world.link.connect();
    this.#takeOver(chance.next() < 0.5);
  }

  /** A primary that will never serve again as it is. */
  #isOver(side: Side): boolean {
    const view = this.world.nodes[side].engine?.view();
    const page = this.world.record.pages[side];
    return view?.role === 'primary' && (!view.serving || page.state === 'over' || page.epoch !== view.epoch);
  }

  /** The holder is dead, or its lease has run out: whoever may takes it. */
  #takeOver(wanted: boolean): void {
    const { record, nodes } = this.world;
    const { holder } = record;
    if (!wanted) return;
    if (holder === null) return void this.world.acquire('a');
    const alive = nodes[holder].process !== null && record.pages[holder].state === 'held';
    if (alive) return;
    const next = nodes[otherSide(holder)].process !== null ? otherSide(holder) : holder;
    if (nodes[next].process === null || !this.#stopped(holder)) return;
    if (this.world.acquire(next) === null && next !== holder && nodes[holder].process !== null) this.world.acquire(holder);
  }

  /** Its lease has run out, and it knows: what W is for. */
  #stopped(side: Side): boolean {
    const page = this.world.record.pages[side];
    if (page.state === 'held') page.state = 'suspended';
    return true;
  }

  #faultHappens(): void {
    const { world } = this;
    const { record, nodes, link } = world;
    const chance = this.#chance;
    const side = SIDES[Math.floor(chance.next() * 2)]!;
    const node = nodes[side];
    const happens = (perThousand: number) => chance.next() * 90 < perThousand;
    const faults = this.#faults;
    if (happens(faults.breakLink)) link.break('broken');
    if (happens(faults.cutLink)) {
      link.cut = !link.cut;
      if (link.cut) link.break('cut');
    }
    if (happens(faults.kill)) node.kill();
    if (happens(faults.power)) node.cutPower();
    if (happens(faults.crashAt) && node.process !== null)
      node.crashAt = { call: node.process.calls + 1 + Math.floor(chance.next() * 30), how: chance.next() < 0.5 ? 'power' : 'process' };
    if (happens(faults.suspend) && record.holder !== null && record.pages[record.holder].state === 'held')
      record.pages[record.holder].state = 'suspended';
    if (happens(faults.preempt) && record.holder !== null && nodes[otherSide(record.holder)].process !== null) {
      world.note('preempted');
      world.acquire(otherSide(record.holder));
    }
    if (happens(faults.storeDown)) record.down = !record.down;
    const server = world.primary();
    if (happens(faults.demote)) server?.engine?.demote((refused) => world.note(`${server.side} demote: ${refused ?? 'done'}`));
    if (happens(faults.pause)) server?.engine?.[chance.next() < 0.4 ? 'pause' : 'resume']();
    if (happens(faults.order)) {
      const draw = chance.next();
      if (draw < 0.6) server?.engine?.resync(draw < 0.3 ? 'full' : 'checksum', () => undefined);
      else server?.engine?.verify({ repair: draw < 0.8 }, () => undefined);
    }
  }

  /** No more faults: in bounded time one serves and both have the same. */
  heal(): void {
    const { world } = this;
    const { record, nodes, link, application } = world;
    world.note('healed');
    record.down = false;
    link.cut = false;
    for (const side of SIDES) nodes[side].crashAt = null;
    for (let turn = 0; turn < 200 && world.violations.length === 0; turn++) {
      for (const side of SIDES) {
        nodes[side].start();
        const page = record.pages[side];
        if (record.holder === side && page.epoch === record.epoch) {
          if (page.state === 'suspended') page.state = 'held';
          page.inSync = record.inSync;
          if (nodes[side].engine?.view().serving === false) world.promote(side);
        } else page.state = 'over';
        if (this.#isOver(side)) nodes[side].engine?.demote(() => undefined);
        nodes[side].engine?.resume();
      }
      link.connect();
      world.run(3_000);
      world.tick(60);
      if (this.#together()) break;
      if (turn % 20 === 19 && world.primary() === null) this.#takeOverAnew();
    }
    world.run(20_000);
    if (world.violations.length > 0) return;
    if (!this.#together()) return world.violate(`liveness: not together again: ${this.#words()}`);
    application.flush();
    for (let turn = 0; turn < 10; turn++) {
      world.run(3_000);
      world.tick(60);
    }
    const [a, b] = [nodes.a.disk.cells, nodes.b.disk.cells];
    const differs = a.findIndex((stamp, sector) => stamp !== b[sector]);
    if (differs >= 0) world.violate(`I-D7: sector ${differs} is ${a[differs]} at a and ${b[differs]} at b`);
    const dirty = world.primary()?.engine?.view().dirtyChunks;
    if (dirty !== 0) world.violate(`W3: ${dirty} chunks are dirty when all is flushed`);
    application.check(a, 'a');
  }

  #takeOverAnew(): void {
    const { record } = this.world;
    const order: readonly Side[] = record.holder === 'a' ? ['b', 'a'] : ['a', 'b'];
    for (const side of order) if (this.world.acquire(side) !== null) return;
  }

  #together(): boolean {
    const { record, nodes } = this.world;
    const views = SIDES.map((side) => nodes[side].engine?.view());
    return (
      views.every((view) => view?.disk === 'UpToDate' && view.connection === 'connected' && view.resync === null) &&
      views.filter((view) => view?.serving === true && view.epoch === record.epoch).length === 1 &&
      SIDES.every((side) => record.hasAlive(side))
    );
  }

  #words(): string {
    const { record, nodes } = this.world;
    const view = (side: Side) => {
      const seen = nodes[side].engine?.view();
      return `${side} ${seen?.role} ${seen?.disk} ${seen?.connection} serving=${seen?.serving} suspended=${seen?.suspended} (${seen?.because})`;
    };
    return `${view('a')}; ${view('b')}; holder ${record.holder} inSync ${record.inSync.map(({ bootId }) => bootId).join(',')}`;
  }
}

export const runHistory = (seed: number, steps = 400): Outcome => {
  const history = new History(seed);
  const { world } = history;
  try {
    history.run(steps);
  } catch (error) {
    world.violate(`thrown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  const told = SIDES.flatMap((side) => world.nodes[side].told.map((line) => `${side} ${line}`));
  return { seed, violations: world.violations, story: world.story, answered: world.application.answered, calls: world.calls, told };
};
