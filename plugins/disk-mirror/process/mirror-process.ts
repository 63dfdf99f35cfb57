// The process of one volume on one node (DESIGN 3): begun at boot, secondary until the lease and an order say otherwise. It
// answers on its control socket from its first moment, also while its copy cannot be opened: then it says why, and tries again.
// Ending it stops nothing: the next one takes up the role under which this one served.
import { mkdirSync } from 'node:fs';
import {
  connectFramed,
  defineProcess,
  FreezeDoor,
  listenFramed,
  type LocalSockets,
  privateDirectory,
  type ProcessContext,
  reasonOf,
  startTimeOf,
  type Timer,
  UnderstudyError,
} from 'understudy/plugin';
import type { DiskMirrorOptions } from '../agent/definition.js';
import { ControlServer } from './control-server.js';
import { type Copy, openCopy } from './copy.js';
import { controlSocket, resourceRunDir } from './places.js';
import type { Order, VolumeView } from './protocol.js';
import { RunningVolume } from './running-volume.js';
import { alarmsOf, closedView, viewOf, worthTelling } from './volume-view.js';

const AGAIN_MS = [500, 1_000, 2_000, 5_000, 10_000] as const;
const SOCKETS: LocalSockets = { listen: listenFramed, connect: (path) => connectFramed(path) };

export const mirrorProcess = defineProcess<DiskMirrorOptions>({
  summary: 'Carries the bytes of one mirrored volume: NBD in front, the peer beside, data and metadata behind.',
  start: async (context) => {
    const volume = new Volume(context);
    await volume.start();
    return { stop: () => volume.stop() };
  },
});

class Volume {
  readonly #context: ProcessContext<DiskMirrorOptions>;
  readonly #runDir: string;
  readonly #control: ControlServer;
  #running: RunningVolume | null = null;
  #because = 'its copy was not opened yet';
  #tries = 0;
  #retry: Timer | null = null;
  readonly #door: FreezeDoor;
  #told: VolumeView | null = null;
  #ended = false;

  constructor(context: ProcessContext<DiskMirrorOptions>) {
    this.#context = context;
    this.#runDir = resourceRunDir(context.paths.run, context.group, context.resource);
    this.#door = new FreezeDoor({
      files: context.files,
      clock: context.clock,
      socket: controlSocket(this.#runDir),
      pid: process.pid,
      startTime: startTimeOf(process.pid) ?? '',
      freeze: (because) => this.#running?.freeze(because),
      trouble: (because) => context.log.error('the freeze could not be answered', { because }),
    });
    this.#control = new ControlServer({
      sockets: SOCKETS,
      path: controlSocket(this.#runDir),
      view: () => this.#view(),
      carryOut: (order) => this.#carryOut(order),
      trouble: (because) => context.log.warn('a client of the control socket could not be let in', { because }),
    });
  }

  async start(): Promise<void> {
    mkdirSync(this.#runDir, { recursive: true, mode: 0o700 });
    privateDirectory(this.#runDir);
    this.#door.open();
    await this.#control.listen();
    await this.#open();
  }

  async stop(): Promise<void> {
    this.#ended = true;
    this.#retry?.cancel();
    await this.#control.close();
    this.#door.close();
    await this.#running?.close();
  }

  async #open(): Promise<void> {
    const { cluster, group, resource, node, paths, options, clock, journal, log } = this.#context;
    let copy: Copy;
    try {
      copy = await openCopy({ cluster, group, resource, node, stateDir: paths.state, options });
    } catch (error) {
      const hint = error instanceof UnderstudyError && typeof error.details['hint'] === 'string' ? ` ${error.details['hint']}` : '';
      const because = `${reasonOf(error)}${hint}`;
      if (because !== this.#because) log.warn('the copy cannot be opened', { because });
      this.#because = because;
      this.#tries += 1;
      if (!this.#ended) this.#retry = clock.after(AGAIN_MS[Math.min(this.#tries, AGAIN_MS.length) - 1] ?? 10_000, () => void this.#open());
      this.#changed();
      return;
    }
    if (this.#ended) return copy.close();
    for (const repair of copy.attached.repairs) {
      journal.write({ kind: 'mirror.metadata-repaired', group, resource, because: repair });
      log.warn('metadata repaired', { repair });
    }
    this.#running = new RunningVolume({
      context: this.#context,
      copy,
      runDir: this.#runDir,
      changed: () => this.#changed(),
      door: this.#door,
    });
    try {
      await this.#running.start();
    } catch (error) {
      log.warn('it could not go on as primary', { because: reasonOf(error) });
      journal.write({ kind: 'mirror.resume-refused', group, resource, because: reasonOf(error) });
    }
  }

  async #carryOut(order: Order): Promise<unknown> {
    if (order.do === 'view' || order.do === 'watch') return this.#view();
    if (this.#running === null) throw new UnderstudyError('REFUSED', `this node’s copy cannot be used: ${this.#because}`);
    const result = await this.#running.carryOut(order);
    this.#changed();
    return result ?? null;
  }

  #view(): VolumeView {
    const { node, peers, options } = this.#context;
    const host = { node, peer: peers[0]?.node ?? '', mode: options.mode, pid: process.pid };
    return this.#running === null ? closedView(host, this.#because) : viewOf(host, this.#running);
  }

  #changed(): void {
    const view = this.#view();
    if (this.#told !== null && !worthTelling(this.#told, view)) return;
    this.#told = view;
    for (const [subject, sentence] of alarmsOf(view)) this.#context.alarms.set(subject, sentence);
    this.#control.tell(view);
  }
}
