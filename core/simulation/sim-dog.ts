// The watchdog of a simulated host: a device outside of it with a clock of its own, as the lab's and an EC2-like reset are.
// It bites so long after the last pet that reached it, whatever the host does meanwhile.
import type { Watchdog } from '../guard/watchdog.js';
import type { SimNode } from './sim-node.js';
import type { SimProcess } from './sim-process.js';

const ANSWER_MS = 1_000;

export class SimDog {
  readonly #node: SimNode;
  #armedMs: number | null = null;
  #pettedMs = 0;
  #serial = 0;
  /** It does not answer, and what is asked of it does not reach it. */
  deafUntilMs = Number.NEGATIVE_INFINITY;
  /** How much faster its clock runs. */
  readonly rate: number;
  /** How long the host is off after a bite. */
  offMs: () => number = () => 2_000;

  constructor(node: SimNode) {
    this.#node = node;
    this.rate = node.chance.stream('dog').between(0.99, 1.01);
  }

  get armed(): boolean {
    return this.#armedMs !== null;
  }

  powerLost(): void {
    this.#armedMs = null;
    this.#serial += 1;
  }

  forProcess(owner: SimProcess): Watchdog {
    return {
      driver: 'simulated',
      present: true,
      arm: async (timeoutMs) => {
        await this.#ask(owner, () => this.#arm(timeoutMs));
      },
      pet: () => this.#ask(owner, () => this.#pet()),
      disarm: async () => {
        await this.#ask(owner, () => this.#disarm());
      },
      close: () => undefined,
    };
  }

  #arm(timeoutMs: number): number {
    this.#armedMs = timeoutMs;
    return this.#pet();
  }

  #pet(): number {
    const { nowMs } = this.#node.world;
    if (this.#armedMs === null) throw new Error('the watchdog is not armed');
    const ageMs = (nowMs - this.#pettedMs) * this.rate;
    this.#pettedMs = nowMs;
    this.#serial += 1;
    const { world } = this.#node;
    const { boot } = this.#node;
    const serial = this.#serial;
    const look = () => {
      if (this.#serial !== serial || this.#node.boot !== boot || !this.#node.powered) return;
      world.mark('watchdog bite');
      this.#node.reset('the watchdog bit', this.offMs());
    };
    world.at(nowMs + this.#armedMs / this.rate, look);
    return ageMs;
  }

  #disarm(): number {
    this.#armedMs = null;
    this.#serial += 1;
    return 0;
  }

  #ask(owner: SimProcess, act: () => number): Promise<number> {
    const { world } = this.#node;
    const { boot } = this.#node;
    return new Promise((resolve, reject) => {
      owner.systemCall();
      let open = true;
      const answer = (settle: () => void) => {
        if (!open) return;
        open = false;
        timer.cancel();
        settle();
      };
      const timer = owner.clock.after(ANSWER_MS, () => answer(() => reject(new Error(`no answer within ${ANSWER_MS} ms`))));
      world.at(owner.trueMs + owner.chance.heavyTail(0.05, 5), () => {
        // What was sent before a kill still arrives; what was sent before the power went does not.
        if (!this.#node.powered || this.#node.boot !== boot || world.nowMs < this.deafUntilMs) return;
        let settle: () => void;
        try {
          const ageMs = act();
          settle = () => resolve(ageMs);
        } catch (error) {
          settle = () => reject(error as Error);
        }
        owner.enqueue('socket', 0.1, () => answer(settle));
      });
    });
  }
}
