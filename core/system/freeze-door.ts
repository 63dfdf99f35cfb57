// The other end of `freeze SOCKET` of the hard-stop list (SAFETY a.6): how a process that serves data is asked, from sh, to end every
// request with an error, and how it proves that it serves nobody. Files beside its socket: SOCKET.pid who it is, SOCKET.idle the same
// words as long as it serves nobody, SOCKET.freeze the request. Invariant: while anybody may be served there is no SOCKET.idle.
import { reasonOf } from '../errors/errors.js';
import type { Clock, Timer } from './clock.js';
import type { Files } from './files.js';

export interface FreezeDoorOptions {
  readonly files: Pick<Files, 'exists' | 'remove' | 'replaceSync'>;
  readonly clock: Clock;
  /** As it stands in the hard-stop list. */
  readonly socket: string;
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: another process with this pid is not meant. */
  readonly startTime: string;
  /** Ends every request with an error, those that wait too, from now on until served anew. Resolves when that is so. */
  readonly freeze: (because: string) => void | Promise<void>;
  /** What could not be done; the process is killed for it. */
  readonly trouble: (because: string) => void;
}

/** emergency-stop waits 300 ms before it kills. */
const LOOK_MS = 20;

export class FreezeDoor {
  readonly #o: FreezeDoorOptions;
  readonly #words: string;
  #timer: Timer | null = null;
  #serving = false;
  #freezing = false;

  constructor(options: FreezeDoorOptions) {
    this.#o = options;
    this.#words = `${options.pid} ${options.startTime}\n`;
  }

  /** Before the socket listens: this process serves nobody yet, and from now on it can be asked. Throws when that cannot be written. */
  open(): void {
    const { files, socket, clock } = this.#o;
    // In this order: what was there belongs to a process that has ended.
    files.replaceSync(`${socket}.idle`, this.#words, { fsync: false });
    files.replaceSync(`${socket}.pid`, this.#words, { fsync: false });
    this.#timer = clock.every(LOOK_MS, () => void this.#look());
  }

  /** Before the first request is taken, under a lease that says HELD. Throws when the word cannot be taken back: then nobody may be served. */
  serve(): void {
    const { files, socket } = this.#o;
    // A request that an interrupted stop left behind was for an epoch that is over.
    files.remove(`${socket}.freeze`);
    files.remove(`${socket}.idle`);
    this.#serving = true;
  }

  /** After the last request was answered and none is taken any more. */
  idle(): void {
    this.#o.files.replaceSync(`${this.#o.socket}.idle`, this.#words, { fsync: false });
    this.#serving = false;
  }

  /** The files stay: they are of a process that ends. */
  close(): void {
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { files, socket, freeze, trouble } = this.#o;
    if (this.#freezing || !files.exists(`${socket}.freeze`)) return;
    this.#freezing = true;
    try {
      if (this.#serving) await freeze('the hard stop of the group asks for it');
      this.idle();
    } catch (error) {
      trouble(`the stop could not be answered: ${reasonOf(error)}`);
    } finally {
      this.#freezing = false;
    }
  }
}
