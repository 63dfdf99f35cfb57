// The arbiter of a simulated cluster: one linearizable store, and each node's way to it with everything that goes wrong on
// ways and in stores. Linearizable in the middle: an effect is one event of the world, whatever happens to the request
// before and to the answer after it. What was sent may land at any time, also after its sender is dead.
import { type Arbiter, ArbiterError, type CasResult, type Versioned } from '../ownership/arbiter.js';
import type { Chance } from './chance.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

/** What may happen to any request, each a probability of its own. */
export interface ArbiterWeather {
  readonly loseRequest: number;
  /** The effect happens, the answer never comes. */
  readonly loseAnswer: number;
  /** A delay from the heavy tail, up to `slowMs`, before or after the effect. */
  readonly slow: number;
  readonly slowMs: number;
  /** A conflict although nothing changed, with the true state. */
  readonly falseConflict: number;
  readonly throttle: number;
}

export const FAIR_STORE: ArbiterWeather = { loseRequest: 0, loseAnswer: 0, slow: 0, slowMs: 0, falseConflict: 0, throttle: 0 };

/** Until a moment of the world. */
interface Trouble {
  readonly kind: 'down' | 'slow' | 'throttled' | 'revoked' | 'unanswered' | 'late requests' | 'late answers';
  /** null: everybody. */
  readonly node: string | null;
  readonly untilMs: number;
  /** Only of what is late. */
  readonly lateMs?: readonly [number, number];
}

export interface StoreListener {
  /** A request leaves its node. */
  sent(by: SimProcess, key: string, value: string): void;
  /** A write has happened. `by` is null for an operator's hand and a restored backup. */
  written(key: string, before: Versioned | null, after: Versioned, by: SimProcess | null): void;
  removed(key: string): void;
  /** A node was told that its write met another state. */
  conflicted(by: SimProcess, key: string, value: string, current: Versioned | null): void;
  /** A node was told what came of its request: the store refuses it, or it has an answer. */
  told(by: SimProcess, keys: readonly string[], what: 'read' | 'write', refused: boolean): void;
}

// Made once: a stack for each costs more than the request.
const REFUSED_CONNECTION = new ArbiterError('unknown', 'connect ECONNREFUSED');
const DENIED = new ArbiterError('refused', 'access denied');
const THROTTLED = new ArbiterError('unknown', 'throttled');

export class SimArbiter {
  readonly #world: World;
  readonly #chance: Chance;
  readonly #shape: 'counter' | 'hash';
  readonly #values = new Map<string, Versioned>();
  readonly #followers = new Set<(value: Versioned) => void>();
  #troubles: Trouble[] = [];
  #serial = 0;
  #backup: ReadonlyMap<string, Versioned> | null = null;
  weather: ArbiterWeather = FAIR_STORE;
  /** A round trip on a good day. */
  readonly usualMs: readonly [number, number];
  readonly pushes: boolean;
  listener: StoreListener | null = null;

  constructor(
    world: World,
    options: { readonly shape: 'counter' | 'hash'; readonly usualMs: readonly [number, number]; readonly pushes: boolean },
  ) {
    this.#world = world;
    this.#chance = world.chance.stream('arbiter');
    this.#shape = options.shape;
    this.usualMs = options.usualMs;
    this.pushes = options.pushes;
  }

  get(key: string): Versioned | null {
    return this.#values.get(key) ?? null;
  }

  keys(): readonly string[] {
    return [...this.#values.keys()];
  }

  trouble(kind: Trouble['kind'], node: string | null, forMs: number, lateMs: readonly [number, number] = [0, 0]): void {
    this.#troubles.push({ kind, node, untilMs: this.#world.nowMs + forMs, lateMs });
  }

  heal(): void {
    this.weather = FAIR_STORE;
    this.#troubles = [];
  }

  /** An operator's hand, or the simulation's. */
  put(key: string, value: string): void {
    this.#put(key, value, null);
  }

  /** Somebody deletes a key, which nothing of understudy ever does. */
  remove(key: string): void {
    if (this.#values.delete(key)) this.listener?.removed(key);
  }

  backUp(): void {
    this.#backup = new Map(this.#values);
  }

  /** The store goes back to the last backup, versions and all. False when there is none. */
  restore(): boolean {
    if (this.#backup === null) return false;
    for (const key of this.#values.keys()) if (!this.#backup.has(key)) this.remove(key);
    for (const [key, value] of this.#backup) {
      const before = this.get(key);
      this.#values.set(key, value);
      this.listener?.written(key, before, value, null);
    }
    return true;
  }

  /** One process's way to the store. */
  forProcess(owner: SimProcess): Arbiter {
    const arbiter: Arbiter = {
      read: (keys, signal) =>
        this.#request(
          owner,
          signal,
          { keys, what: 'read' },
          () => keys.map((key) => this.get(key)),
          () => undefined,
        ),
      cas: (key, expected, value, signal) => {
        this.listener?.sent(owner, key, value);
        return this.#request(
          owner,
          signal,
          { keys: [key], what: 'write' },
          () => this.#cas(key, expected, value, owner),
          (result) => {
            if (result.outcome === 'conflict') this.listener?.conflicted(owner, key, value, result.current);
          },
        );
      },
      close: () => Promise.resolve(),
    };
    if (!this.pushes) return arbiter;
    return { ...arbiter, follow: (keys, changed, signal) => this.#follow(owner, keys, changed, signal) };
  }

  #cas(key: string, expected: string | null, value: string, by: SimProcess): CasResult {
    const current = this.get(key);
    if ((current?.version ?? null) !== expected || this.#chance.happens(this.weather.falseConflict))
      return { outcome: 'conflict', current };
    return { outcome: 'done', version: this.#put(key, value, by).version };
  }

  #put(key: string, value: string, by: SimProcess | null): Versioned {
    const before = this.get(key);
    this.#serial += 1;
    const version = this.#shape === 'counter' ? String(this.#serial) : `"${hashOf(value)}"`;
    const after: Versioned = { key, value, version };
    this.#values.set(key, after);
    this.listener?.written(key, before, after, by);
    for (const follower of this.#followers) follower(after);
    return after;
  }

  #has(kind: Trouble['kind'], node: string): boolean {
    if (this.#troubles.length === 0) return false;
    const { nowMs } = this.#world;
    this.#troubles = this.#troubles.filter(({ untilMs }) => untilMs > nowMs);
    return this.#troubles.some((trouble) => trouble.kind === kind && (trouble.node === null || trouble.node === node));
  }

  #delayMs(node: string, way: 'late requests' | 'late answers'): number {
    const [low, high] = this.usualMs;
    const chance = this.#chance;
    const usualMs = chance.heavyTail(low, high) / 2;
    const { lateMs = [0, 0] } =
      this.#troubles.find((trouble) => trouble.kind === way && trouble.node === node && this.#has(way, node)) ?? {};
    if (lateMs[1] > 0) return usualMs + chance.between(...lateMs);
    if (this.#has('slow', node)) return usualMs + chance.heavyTail(50, Math.max(4_000, this.weather.slowMs));
    return chance.happens(this.weather.slow) ? usualMs + chance.heavyTail(20, Math.max(21, this.weather.slowMs)) : usualMs;
  }

  #request<T>(
    owner: SimProcess,
    signal: AbortSignal,
    { keys, what }: { readonly keys: readonly string[]; readonly what: 'read' | 'write' },
    effect: () => T,
    told: (result: T) => void,
  ): Promise<T> {
    const node = owner.node.id;
    const chance = this.#chance;
    return new Promise((resolve, reject) => {
      owner.systemCall();
      // The deadline is the asker's (core/guard/deadline): who aborts has ceased to wait, and is told nothing any more.
      if (signal.aborted) return undefined;
      const answer = (settle: () => void) => {
        if (this.#has('down', node) || this.#has('unanswered', node) || chance.happens(this.weather.loseAnswer)) return;
        this.#world.after(this.#delayMs(node, 'late answers'), () => owner.deliver('socket', settle));
      };
      // Where nobody answers, a connection is refused at once as often as it hangs.
      if (this.#has('down', node)) {
        if (chance.happens(0.5)) owner.enqueue('socket', 1, () => reject(REFUSED_CONNECTION));
        return undefined;
      }
      if (chance.happens(this.weather.loseRequest)) return undefined;
      this.#world.at(owner.trueMs + this.#delayMs(node, 'late requests'), () => {
        if (this.#has('revoked', node))
          return answer(() => {
            if (!signal.aborted) this.listener?.told(owner, keys, what, true);
            reject(DENIED);
          });
        if (this.#has('throttled', node) || chance.happens(this.weather.throttle)) return answer(() => reject(THROTTLED));
        const result = effect();
        return answer(() => {
          // An answer after the caller's deadline is nobody's answer: the caller has not seen it.
          if (!signal.aborted) {
            this.listener?.told(owner, keys, what, false);
            told(result);
          }
          resolve(result);
        });
      });
      return undefined;
    });
  }

  #follow(owner: SimProcess, keys: readonly string[], changed: (value: Versioned) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || this.#has('down', owner.node.id)) {
        owner.enqueue('socket', 1, resolve);
        return;
      }
      const follower = (value: Versioned) => {
        if (!keys.includes(value.key) || this.#has('down', owner.node.id)) return;
        this.#world.after(this.#delayMs(owner.node.id, 'late answers'), () => owner.deliver('socket', () => changed(value)));
      };
      this.#followers.add(follower);
      owner.onEnd(() => this.#followers.delete(follower));
      signal.addEventListener('abort', () => (this.#followers.delete(follower), resolve()), { once: true });
    });
  }
}

/** A content hash as a store makes one of the bytes: equal contents, equal token. */
const hashOf = (text: string): string => {
  let one = 0x811c9dc5;
  let two = 0xcbf29ce4 | 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    one = Math.imul(one ^ code, 0x01000193);
    two = Math.imul(two ^ code, 0x0000_5bd1) + 0x9e37;
  }
  return (one >>> 0).toString(16).padStart(8, '0') + (two >>> 0).toString(16).padStart(8, '0');
};
