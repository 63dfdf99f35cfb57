// The lab's end of the observer: starts its eyes, keeps what they saw, tells whether two hosts ever overlapped.
import { fileURLToPath } from 'node:url';
import type { NodeId } from '../model/ids.js';
import { HOST_MARK, LAB_MARK } from './host-processes.js';
import { type LabProcess, startProcess } from './lab-process.js';
import { type Look, Observations } from './observations.js';
import type { FromObserver, ObserverPlan } from './observer-process.js';
import type { AddressSource } from './substrate.js';

/** What a run looked like. `overlaps` must be empty; `sweeps` and `longestPauseMs` say how well it was watched. */
export interface ObserverReport {
  readonly holders: Readonly<Record<string, readonly NodeId[]>>;
  readonly overlaps: Observations['overlaps'];
  readonly intervals: Observations['intervals'];
  readonly sweeps: number;
  readonly longestPauseMs: number;
}

export class Observer {
  readonly #observations = new Observations();
  readonly #process: LabProcess;
  #sweeps = 0;
  #longestPauseMs = 0;

  constructor(labId: string, plan: ObserverPlan, logFile: string, onLook: (look: Look) => void = () => undefined) {
    const onMessage = (received: unknown): void => {
      const message = received as FromObserver;
      if (message.t === 'look') {
        this.#observations.see(message.look);
        onLook(message.look);
        return;
      }
      this.#sweeps = message.count;
      this.#longestPauseMs = Math.max(this.#longestPauseMs, message.longestPauseMs);
    };
    const script = fileURLToPath(new URL('./observer-process.js', import.meta.url));
    this.#process = startProcess(
      { argv: [process.execPath, script, JSON.stringify(plan)], env: { [LAB_MARK]: labId, [HOST_MARK]: '' } },
      { logFile, ipc: true, onMessage },
    );
  }

  /** Told at each power-on and power-off: where the host's addresses can be read now. */
  addresses(node: NodeId, source: AddressSource | null): void {
    this.#process.send({ t: 'addresses', node, source });
  }

  get report(): ObserverReport {
    const holders = Object.fromEntries(this.#observations.things.map((thing) => [thing, this.#observations.holders(thing)]));
    return {
      holders,
      overlaps: this.#observations.overlaps,
      intervals: this.#observations.intervals,
      sweeps: this.#sweeps,
      longestPauseMs: this.#longestPauseMs,
    };
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.exited;
  }
}
