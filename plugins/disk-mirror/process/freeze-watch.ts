// The way in for those who have no Node and no time (SAFETY a.6, `freeze SOCKET`): a file beside the control socket means that every
// request ends with an error from now on, and is answered by another that says so. Looked for with each tick: nothing is
// listened to that could be missed. The first line of the file is the word that is given back, so an old answer is none.
import { existsSync, readFileSync } from 'node:fs';
import { writeAtomicSync } from 'understudy/plugin';

export const freezeFile = (socket: string): string => `${socket}.freeze`;
export const frozenFile = (socket: string): string => `${socket}.frozen`;

export class FreezeWatch {
  readonly #socket: string;
  readonly #freeze: (because: string) => void;
  #answered = '';

  constructor(socket: string, freeze: (because: string) => void) {
    this.#socket = socket;
    this.#freeze = freeze;
  }

  /** True while the file is there: nothing may be served. */
  look(): boolean {
    const file = freezeFile(this.#socket);
    if (!existsSync(file)) {
      this.#answered = '';
      return false;
    }
    const word = readFileSync(file, 'utf8').trim();
    if (word === this.#answered) return true;
    this.#freeze(`it was told to freeze: ${word || 'the group is being stopped'}`);
    writeAtomicSync(frozenFile(this.#socket), `${word}\n`, { fsync: false });
    this.#answered = word;
    return true;
  }
}
