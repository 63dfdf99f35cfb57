// Before this host says that an epoch is over, its controller has said that it begins nothing of it any more, or is dead.
// Without that a controller that was stopped between its look at the page and its effect would carry the effect out when
// everything is verified gone and another node is active. One that is alive answers within a turn of its loop; whatever it
// does in later turns finds the page. Invariant: after `settle` no controller of this boot can begin anything of the epoch.
import { join } from 'node:path';
import { reasonOf } from '../errors/errors.js';
import type { NewEvent } from '../model/event.js';
import type { Epoch, GroupId } from '../model/ids.js';
import { type Files, readJson } from '../system/files.js';
import type { Paths } from '../system/paths.js';
import type { ControllerIdentity } from './controller-watch.js';

export interface LastWordOptions {
  readonly files: Files;
  readonly paths: Paths;
  /** False when no controller is connected, or it did not answer in time. */
  readonly ask: (group: GroupId, epoch: Epoch) => Promise<boolean>;
  /** Ends exactly this process; false when it was no longer there. */
  readonly endProcess: (controller: ControllerIdentity) => boolean;
  readonly tell: (event: NewEvent) => void;
}

export const controllerFile = (paths: Paths): string => join(paths.run, 'controller');

export class LastWord {
  readonly #options: LastWordOptions;
  /** The newest controller of this boot, connected or not. */
  #controller: ControllerIdentity | null;

  constructor(options: LastWordOptions) {
    this.#options = options;
    const file = readJson(options.files, controllerFile(options.paths));
    this.#controller = file.kind === 'read' ? identityOf(file.value) : null;
  }

  /** Kept for the next guard too: the controller may be stopped while that one begins. Why it cannot be kept, else null. */
  hello(controller: ControllerIdentity): string | null {
    const known = this.#controller;
    this.#controller = controller;
    if (known?.pid === controller.pid && known.startTime === controller.startTime) return null;
    const { files, paths } = this.#options;
    try {
      files.replaceSync(controllerFile(paths), `${JSON.stringify(controller)}\n`, { fsync: false });
      return null;
    } catch (error) {
      return `the next guard will not know the controller: ${reasonOf(error)}`;
    }
  }

  /** Whether the controller answers. For a release: who wants to give a group back is there to say so. */
  answers(group: GroupId, epoch: Epoch): Promise<boolean> {
    return this.#options.ask(group, epoch);
  }

  /** Resolves when it answered or is dead; its supervisor starts another, which looks before it acts. */
  async settle(group: GroupId, epoch: Epoch): Promise<void> {
    const { ask, endProcess, tell } = this.#options;
    if ((await ask(group, epoch)) || this.#controller === null) return;
    const { pid } = this.#controller;
    if (!endProcess(this.#controller)) return;
    tell({
      kind: 'controller.ended',
      group,
      epoch,
      because: `the controller did not say that it begins nothing of epoch ${epoch} any more`,
      data: { pid },
    });
  }
}

const identityOf = (value: unknown): ControllerIdentity | null => {
  const { pid, startTime } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  return typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 1 && typeof startTime === 'string' ? { pid, startTime } : null;
};
