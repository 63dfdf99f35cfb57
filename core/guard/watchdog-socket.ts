// Watchdog driver `socket:PATH`: a watchdog process outside the host (the lab's), on a Unix stream socket, one JSON message
// a line: {"arm":MS} → {"armed":MS}, {"pet":N} → {"petted":N,"ageMs":…}, {"disarm":true} → {"disarmed":true}. One request at
// a time; an answer that does not fit, or none in time, drops the connection, and the next request makes a new one.
import { type Socket, connect } from 'node:net';
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import type { Clock } from '../system/clock.js';
import type { Watchdog } from './watchdog.js';

export interface SocketWatchdogOptions {
  readonly path: string;
  readonly clock: Clock;
  /** A request not answered in this time has failed. */
  readonly timeoutMs: number;
}

const MAX_LINE = 4_096;

export const socketWatchdog = (options: SocketWatchdogOptions): Watchdog => new SocketWatchdog(options);

class SocketWatchdog implements Watchdog {
  readonly driver = 'socket';
  readonly present = true;
  readonly #options: SocketWatchdogOptions;
  #socket: Socket | null = null;
  #pets = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: SocketWatchdogOptions) {
    this.#options = options;
  }

  async arm(timeoutMs: number): Promise<void> {
    await this.#ask({ arm: timeoutMs }, ({ armed }) => armed === timeoutMs);
  }

  async pet(): Promise<number> {
    const number = (this.#pets += 1);
    const { ageMs } = await this.#ask({ pet: number }, (answer) => answer['petted'] === number && typeof answer['ageMs'] === 'number');
    return Number(ageMs);
  }

  async disarm(): Promise<void> {
    await this.#ask({ disarm: true }, ({ disarmed }) => disarmed === true);
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  /** Requests wait for each other, so that a line is the answer to what was asked. */
  #ask(request: Record<string, unknown>, fits: (answer: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    const answer = this.#queue.then(() => this.#exchange(request, fits));
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  #exchange(request: Record<string, unknown>, fits: (answer: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    const { path, clock, timeoutMs } = this.#options;
    const words = JSON.stringify(request);
    return new Promise((resolve, reject) => {
      const socket = this.#socket ?? connect(path);
      this.#socket = socket;
      let text = '';
      const settle = (failure: string | null, answer?: Record<string, unknown>) => {
        timer.cancel();
        socket.off('data', onData).off('error', onError).off('close', onClose);
        if (failure === null && answer !== undefined) return resolve(answer);
        // A late error of a socket that is given up tells nothing new.
        socket.on('error', () => undefined).destroy();
        if (this.#socket === socket) this.#socket = null;
        return reject(new UnderstudyError('TIMED_OUT', `watchdog ${path}: ${words} failed: ${failure}`));
      };
      const onData = (chunk: Buffer) => {
        text += chunk.toString('utf8');
        const end = text.indexOf('\n');
        if (end < 0) return text.length > MAX_LINE ? settle('the answer is too long') : undefined;
        const answer = parsed(text.slice(0, end));
        return answer !== null && fits(answer) ? settle(null, answer) : settle(`it answered ${text.slice(0, Math.min(end, 200))}`);
      };
      const onError = (error: Error) => settle(reasonOf(error));
      const onClose = () => settle('the connection was closed');
      const timer = clock.after(timeoutMs, () => settle(`no answer within ${timeoutMs} ms`));
      socket.on('data', onData).on('error', onError).on('close', onClose);
      socket.write(`${words}\n`);
    });
  }
}

const parsed = (line: string): Record<string, unknown> | null => {
  try {
    const value = JSON.parse(line) as unknown;
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    // Not JSON: it fits nothing, and the caller says what came.
    return null;
  }
};
