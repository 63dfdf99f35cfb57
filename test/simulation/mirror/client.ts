// Who uses the volume: writes numbered sectors, reads, zeroes, flushes, through the export of whichever node serves, now and then of
// one that should not any more. Many at once, often the same few sectors. Every request is answered once or never (its server died).
import type { Chance } from '../../../core/simulation/chance.js';
import type { World } from '../../../core/simulation/world.js';
import type { NbdExport } from '../../../plugins/disk-mirror/nbd/export.js';
import type { Judge } from './judge.js';
import type { MirrorLife } from './mirror-life.js';
import { SECTOR, stamped } from './stamps.js';

const MAX_UNDER_WAY = 8;
const HOT_SECTORS = 12;
const LONGEST_SECTORS = 10;
/** Bytes that were answered are used again. */
const SCRIBBLE = 0xfe;

interface Server {
  readonly life: MirrorLife;
  readonly service: NbdExport;
  underWay: number;
}

export class Client {
  readonly #world: World;
  readonly #judge: Judge;
  readonly #chance: Chance;
  readonly #sectors: number;
  readonly #thinkMs: number;
  readonly #flushes: number;
  readonly #servers = new Map<MirrorLife, Server>();
  /** From then on it only waits. */
  untilMs = Number.POSITIVE_INFINITY;

  constructor(world: World, judge: Judge, sectors: number) {
    this.#world = world;
    this.#judge = judge;
    this.#chance = world.chance.stream('client');
    this.#sectors = sectors;
    this.#thinkMs = this.#chance.heavyTail(15, 250);
    this.#flushes = this.#chance.pick([0.02, 0.1, 0.25]);
  }

  start(): void {
    const wait = this.#chance.happens(0.02) ? this.#chance.heavyTail(500, 8_000) : -Math.log(1 - this.#chance.next()) * this.#thinkMs;
    this.#world.after(wait, () => {
      if (this.#world.nowMs < this.untilMs) this.#act();
      this.start();
    });
  }

  serves(life: MirrorLife, service: NbdExport): void {
    this.#servers.set(life, { life, service, underWay: 0 });
  }

  gone(life: MirrorLife): void {
    this.#servers.delete(life);
  }

  get underWay(): number {
    return [...this.#servers.values()].reduce((sum, one) => sum + one.underWay, 0);
  }

  flushAll(): void {
    for (const server of this.#servers.values()) this.#flush(server);
  }

  #act(): void {
    const servers = [...this.#servers.values()];
    if (servers.length === 0) return;
    // The newest is the one that should; the other one is asked too.
    const server = servers.length > 1 && this.#chance.happens(0.3) ? servers[0]! : servers.at(-1)!;
    if (server.underWay >= MAX_UNDER_WAY) return;
    const count = 1 + this.#chance.index(LONGEST_SECTORS);
    const sector = this.#chance.index(this.#chance.happens(0.4) ? HOT_SECTORS : this.#sectors - count);
    const draw = this.#chance.next();
    if (draw < this.#flushes) this.#flush(server);
    else if (draw < 0.8) this.#write(server, sector, count, this.#chance.happens(0.1));
    else if (draw < 0.95) this.#read(server, sector, count);
    else this.#zero(server, sector, count);
  }

  #write(server: Server, sector: number, count: number, fua: boolean): void {
    this.#ask(server, (answered) => {
      const { life, service } = server;
      const asked = this.#judge.begins(life, sector, count);
      const bytes = stamped(asked.stamp, count);
      service.write(bytes, sector * SECTOR, fua, (error) => {
        this.#judge.answersWrite(life, asked, error, fua);
        bytes.fill(SCRIBBLE);
        answered();
      });
    });
  }

  #zero(server: Server, sector: number, count: number): void {
    this.#ask(server, (answered) => {
      const { life, service } = server;
      const asked = this.#judge.begins(life, sector, count, true);
      const done = (error: string | null) => {
        this.#judge.answersWrite(life, asked, error, false);
        answered();
      };
      if (this.#chance.happens(0.5)) service.trim(sector * SECTOR, count * SECTOR, false, done);
      else service.zeroes(sector * SECTOR, count * SECTOR, { fua: false, noHole: false, fast: false }, done);
    });
  }

  #flush(server: Server): void {
    this.#ask(server, (answered) => {
      const { life, service } = server;
      const kept = this.#judge.flushes(life);
      service.flush((error) => {
        kept(error);
        answered();
      });
    });
  }

  #read(server: Server, sector: number, count: number): void {
    this.#ask(server, (answered) => {
      const { life, service } = server;
      const into = Buffer.alloc(count * SECTOR);
      const saw = this.#judge.reads(life, sector);
      service.read(into, sector * SECTOR, (error) => {
        saw(into, error);
        answered();
      });
    });
  }

  /** I-D10: each request is answered once. */
  #ask(server: Server, ask: (answered: () => void) => void): void {
    let over = false;
    server.underWay += 1;
    server.life.process.deliver('socket', () =>
      ask(() => {
        if (over) this.#world.violate('I-D10', `a request at ${server.life.process.node.id} was answered twice`);
        over = true;
        server.underWay -= 1;
      }),
    );
  }
}
