// Two copies with their true history, simple enough to be obviously right: versions of a few cells, what was acknowledged, what each
// side wrote while alone. It makes the inputs of a handshake as the rules of SAFETY b.1 say, and knows what a decision does.
import type { Chance } from '../../../core/simulation/chance.js';
import {
  type CopyState,
  type DiskState,
  type Generation,
  HISTORY,
  NO_GENERATION,
  isNoGeneration,
  sameGeneration,
} from '../../../plugins/disk-mirror/words.js';
import { decide, type Verdict } from '../../../plugins/disk-mirror/handshake/decide.js';

export type Name = 'a' | 'b';
const CELLS = 4;
const other = (name: Name): Name => (name === 'a' ? 'b' : 'a');

/** One copy, and what really is on it. */
interface Copy {
  readonly name: Name;
  cells: number[];
  bits: Set<number>;
  boot: number;
  disk: DiskState;
  role: 'primary' | 'secondary';
  primaryIndicator: boolean;
  primaryEpoch: number;
  maxEpochSeen: number;
  current: Generation;
  bitmapBase: Generation;
  history: Generation[];
  forced: boolean;
  peerBoot: string;
}

export class TrueHistory {
  readonly a: Copy;
  readonly b: Copy;
  readonly #chance: Chance;
  readonly #async: boolean;
  /** By the lease record. */
  inSync = new Map<Name, number>();
  holder: Name | null = null;
  epoch = 0;
  connected = false;
  #version = 0;
  #random = 0;
  /** Of each cell, the version that was acknowledged last; and by whom only it is held, where a copy wrote alone. */
  readonly acked = Array.from({ length: CELLS }, () => 0);
  readonly story: string[] = [];

  constructor(chance: Chance, async: boolean) {
    this.#chance = chance;
    this.#async = async;
    const first = this.#generation(1);
    this.a = copy('a', first);
    this.b = copy('b', first);
    this.inSync = new Map([
      ['a', 1],
      ['b', 1],
    ]);
    this.meet();
  }

  /** One random thing happens. */
  step(): void {
    const draw = this.#chance.next();
    const name: Name = this.#chance.next() < 0.5 ? 'a' : 'b';
    if (draw < 0.4) this.#write();
    else if (draw < 0.5) this.#flush();
    else if (draw < 0.65) this.connected = false;
    else if (draw < 0.8) this.meet();
    else if (draw < 0.88) this.#crash(name, this.#chance.next() < 0.5);
    else if (draw < 0.98) this.#takeOver(name, false);
    else this.#takeOver(name, this.#chance.next() < 0.3);
  }

  state(name: Name): CopyState {
    const { cells: _, bits, boot, peerBoot, ...rest } = this[name];
    return {
      identity: { cluster: 'c', group: 'g', volume: 'v', volumeUuid: 'u', sizeBytes: CELLS },
      node: name,
      bootId: `${name}${boot}`,
      role: rest.role,
      disk: rest.disk,
      primaryIndicator: rest.primaryIndicator,
      primaryEpoch: rest.primaryEpoch,
      maxEpochSeen: rest.maxEpochSeen,
      current: rest.current,
      bitmapBase: rest.bitmapBase,
      history: rest.history,
      dirtyChunks: bits.size,
      forced: rest.forced,
      mode: this.#async ? 'async' : 'sync',
      peerBootId: peerBoot,
      seeded: false,
      victim: false,
    };
  }

  /** The two meet: what is decided is done, and judged. */
  meet(): void {
    const verdict = decide(this.state('a'), this.state('b'));
    this.story.push(`meet: ${verdict.rule} ${verdict.kind}`);
    this.#judge(verdict);
    const epoch = Math.max(this.a.maxEpochSeen, this.b.maxEpochSeen);
    this.a.maxEpochSeen = epoch;
    this.b.maxEpochSeen = epoch;
    if (verdict.kind === 'none') this.#together();
    if (verdict.kind !== 'sync') return;
    const [source, target] = verdict.source === 'a' ? [this.a, this.b] : [this.b, this.a];
    const share = verdict.how === 'full' ? [0, 1, 2, 3] : [...new Set([...this.a.bits, ...this.b.bits])];
    target.disk = 'Inconsistent';
    target.current = source.current;
    target.bitmapBase = NO_GENERATION;
    this.inSync.delete(target.name);
    // Interrupted now and then: what was copied is, the rest stays dirty.
    const stops = this.#chance.next() < 0.2 ? Math.floor(this.#chance.next() * share.length) : share.length;
    if (verdict.how === 'full') for (const cell of share) target.bits.add(cell);
    for (const cell of share.slice(0, stops)) {
      target.cells[cell] = source.cells[cell]!;
      source.bits.delete(cell);
      target.bits.delete(cell);
    }
    if (stops < share.length) return;
    target.disk = 'UpToDate';
    target.history = [...source.history];
    target.primaryIndicator = false;
    target.forced = false;
    this.#together();
  }

  readonly wrong: string[] = [];

  #judge(verdict: Verdict): void {
    const { a, b } = this;
    const say = (sentence: string) => this.wrong.push(`${sentence} (${verdict.rule}: ${verdict.because})\n${this.story.join('\n')}`);
    const differs = a.cells.some((cell, at) => cell !== b.cells[at]);
    if (verdict.kind === 'none' && (differs || a.bits.size + b.bits.size > 0)) say('left as they are, and they differ or may');
    if (verdict.kind !== 'sync') return;
    const [source, target] = verdict.source === 'a' ? [a, b] : [b, a];
    if (target.role === 'primary') say('a primary is written over');
    if (source.disk === 'Inconsistent') say('an inconsistent copy is the source');
    const union = new Set([...a.bits, ...b.bits]);
    const missed = a.cells.findIndex((cell, at) => cell !== b.cells[at] && !union.has(at));
    if (verdict.how === 'bitmap' && missed >= 0) say(`cell ${missed} differs and would not be copied`);
    this.#judgeLoss(source, target, say);
  }

  /** What was answered and is on the target alone is lost. In async what the standby lacked at a takeover is given up (RPO). */
  #judgeLoss(source: Copy, target: Copy, say: (sentence: string) => void): void {
    if (target.disk === 'Inconsistent' || this.#async) return;
    this.acked.forEach((version, cell) => {
      if (source.cells[cell]! < version && target.cells[cell]! >= version)
        say(`cell ${cell}: only the target has ${version}, which was answered`);
    });
  }

  #together(): void {
    this.connected = true;
    for (const one of [this.a, this.b]) {
      one.disk = 'UpToDate';
      one.bitmapBase = NO_GENERATION;
      one.peerBoot = `${other(one.name)}${this[other(one.name)].boot}`;
    }
    const server = this.#server();
    // The holder alone changes the record.
    if (server !== null) for (const one of [this.a, this.b]) this.inSync.set(one.name, one.boot);
  }

  #server(): Copy | null {
    const server = this.holder === null ? null : this[this.holder];
    return server?.role === 'primary' ? server : null;
  }

  #write(): void {
    const server = this.#server();
    if (server === null) return;
    const peer = this[other(server.name)];
    const cell = Math.floor(this.#chance.next() * CELLS);
    this.#version += 1;
    server.bits.add(cell);
    if (this.connected) {
      // Any step of it may be the last that happened.
      const reached = this.#chance.next();
      if (this.#async) server.cells[cell] = this.#version;
      if (reached < 0.1) return this.#cut();
      if (!this.#async || reached > 0.4) peer.cells[cell] = this.#version;
      if (reached < 0.2) return this.#cut();
      server.cells[cell] = this.#version;
      this.acked[cell] = this.#version;
      if (this.#async && peer.cells[cell] !== this.#version) this.connected = false;
      return undefined;
    }
    this.inSync.delete(peer.name);
    if (isNoGeneration(server.bitmapBase) || this.#chance.next() < 0.3) {
      if (isNoGeneration(server.bitmapBase)) server.bitmapBase = server.current;
      server.history = [server.current, ...server.history].slice(0, HISTORY);
      server.current = this.#generation(server.current.counter + 1);
    }
    server.cells[cell] = this.#version;
    this.acked[cell] = this.#version;
    this.story.push(`${server.name} writes ${cell} alone`);
    return undefined;
  }

  #cut(): void {
    this.connected = false;
    this.story.push('cut in a write');
    const server = this.#server();
    if (server !== null && this.#chance.next() < 0.5) this.#crash(server.name, this.#chance.next() < 0.5);
  }

  #flush(): void {
    const server = this.#server();
    if (server === null || !this.connected) return;
    for (const one of [this.a, this.b]) one.bits.clear();
  }

  #crash(name: Name, power: boolean): void {
    const one = this[name];
    this.story.push(`${name} ${power ? 'loses power' : 'dies'}`);
    this.connected = false;
    one.role = 'secondary';
    if (one.disk === 'UpToDate') one.disk = 'Consistent';
    if (!power) return;
    one.boot += 1;
    // What may be lost is what was not flushed: cells whose bit is set on either side are as new as anybody knows.
    const unflushed = new Set([...this.a.bits, ...this.b.bits]);
    const { [other(name)]: peer } = this;
    for (const cell of unflushed) if (this.#chance.next() < 0.3) one.cells[cell] = Math.min(one.cells[cell]!, this.#older(cell));
    // Two failures: what nobody has any more was not promised.
    this.acked.forEach((version, cell) => {
      if (one.cells[cell]! < version && peer.cells[cell]! < version) this.acked[cell] = Math.max(one.cells[cell]!, peer.cells[cell]!);
      if (this.#alive(peer.name)) return;
      this.acked[cell] = Math.min(this.acked[cell]!, one.cells[cell]!, this.inSync.has(peer.name) ? peer.cells[cell]! : version);
    });
  }

  /** In sync by the record, in this boot. */
  #alive(name: Name): boolean {
    return this.inSync.get(name) === this[name].boot;
  }

  #older(cell: number): number {
    return Math.max(0, this.acked[cell]! - 1);
  }

  #takeOver(name: Name, force: boolean): void {
    const one = this[name];
    const peer = this[other(name)];
    if (one.disk === 'Inconsistent' || one.disk === 'Outdated' || one.role === 'primary') return;
    const last = this.holder === name && this.inSync.has(name) && [...this.inSync].every(([who, boot]) => this[who].boot !== boot);
    if (!force && !this.#alive(name) && !last) return;
    // W7: a copy that died as primary with bits set is settled with its peer, or the peer leaves the record.
    if (one.bits.size > 0 && this.inSync.has(peer.name)) this.inSync.delete(peer.name);
    this.story.push(`${name} takes over${force ? ' by force' : ''}`);
    this.epoch += 1;
    this.connected = false;
    this.holder = name;
    if (peer.role === 'primary') peer.role = 'secondary';
    this.inSync.set(name, one.boot);
    Object.assign(one, { role: 'primary', primaryIndicator: true, primaryEpoch: this.epoch, maxEpochSeen: this.epoch, disk: 'UpToDate' });
    if (force) {
      // The operator accepts the loss of what only the other has.
      one.cells.forEach((version, cell) => (this.acked[cell] = version));
      this.inSync = new Map([[name, one.boot]]);
      one.forced = true;
      if (isNoGeneration(one.bitmapBase)) one.bitmapBase = one.current;
      one.history = [one.current, ...one.history].slice(0, HISTORY);
      one.current = this.#generation(one.current.counter + 1);
    }
  }

  #generation(counter: number): Generation {
    this.#random += 1;
    return { epoch: this.epoch, counter, random: this.#random };
  }
}

const copy = (name: Name, current: Generation): Copy => ({
  name,
  cells: Array.from({ length: CELLS }, () => 0),
  bits: new Set(),
  boot: 1,
  disk: 'UpToDate',
  role: 'secondary',
  primaryIndicator: false,
  primaryEpoch: 0,
  maxEpochSeen: 0,
  current,
  bitmapBase: NO_GENERATION,
  history: [],
  forced: false,
  peerBoot: '',
});

export const sameCells = (history: TrueHistory): boolean => history.a.cells.every((cell, at) => cell === history.b.cells[at]);
export { sameGeneration };
