// One client's socket. Bytes go from the kernel straight to where the session wants them: an accepted connection is opened
// anew with Node's `onread`, which accepted sockets cannot be given. For that its handle is taken over, which Node does not
// document; without one (and inside TLS) the same bytes come as stream chunks and are copied. Invariant: memory of a session
// is lent to the socket only while it is being read.
import { Socket, type SocketConstructorOpts } from 'node:net';
import type { Way } from './transmission.js';

/** Takes what the socket brings. */
export interface Receiver {
  target(): Buffer;
  /** False = read no more until `resume`. */
  received(count: number): boolean;
}

export interface SocketEvents {
  /** Bytes while there is no receiver; they are valid during the call only. */
  bytes(chunk: Buffer): void;
  /** The other side sends nothing more. */
  ended(): void;
  /** It is closed as soon as the client has taken what was sent. */
  ending(): void;
  closed(because: string): void;
}

const SCRATCH_BYTES = 16 * 1024;

export class SocketWay implements Way {
  readonly #events: SocketEvents;
  #socket: Socket;
  #scratch = Buffer.allocUnsafe(SCRATCH_BYTES);
  #receiver: Receiver | null = null;
  /** Came while it was paused: read before anything else. */
  #left: Buffer = EMPTY;
  #paused = false;
  #ended = false;
  #because = 'the client closed the connection';

  /** `direct`: receive without copying where this Node can. */
  constructor(accepted: Socket, events: SocketEvents, direct: boolean) {
    this.#events = events;
    const opened = direct ? this.#openDirect(accepted) : null;
    this.#socket = opened ?? accepted;
    this.#listen(this.#socket, opened !== null);
  }

  get socket(): Socket {
    return this.#socket;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** From here on all bytes go there, `first` before those of the socket. */
  receive(receiver: Receiver, first: Buffer): void {
    this.#receiver = receiver;
    this.#left = Buffer.concat([first, this.#left]);
    this.resume();
  }

  /** Another socket over the same connection: TLS. Bytes come from it only. */
  replace(make: (under: Socket) => Socket): void {
    const under = this.#socket;
    // Trouble below is heard on; unheard it would end the process. All else comes from above.
    under.off('end', this.#onEnd).off('close', this.#onClose).off('data', this.#onData);
    this.#socket = make(under);
    this.#listen(this.#socket, false);
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    const left = this.#left;
    this.#left = EMPTY;
    if (left.length > 0) this.#hand(left);
    if (!this.#paused) this.#socket.resume();
  }

  send(pieces: readonly Buffer[], sent: () => void): void {
    const socket = this.#socket;
    const last = pieces.length - 1;
    if (this.#ended || socket.destroyed || last < 0) {
      process.nextTick(sent);
      return;
    }
    if (last > 0) socket.cork();
    for (let index = 0; index < last; index += 1) socket.write(pieces[index] as Buffer);
    socket.write(pieces[last] as Buffer, () => sent());
    if (last > 0) socket.uncork();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.ending();
    this.#socket.destroySoon();
  }

  cut(because: string): void {
    this.#because = because;
    this.#ended = true;
    this.#socket.destroy();
  }

  /** Bytes in hand: to the receiver, as many as it wants now. */
  #hand(chunk: Buffer): void {
    const receiver = this.#receiver;
    if (receiver === null) return this.#events.bytes(chunk);
    let rest = chunk;
    while (rest.length > 0) {
      const count = rest.copy(receiver.target());
      rest = rest.subarray(count);
      if (receiver.received(count)) continue;
      this.#paused = true;
      // Kept apart: the chunk may be the scratch, which is read into again.
      this.#left = Buffer.from(rest);
      this.#socket.pause();
      return;
    }
  }

  #openDirect(accepted: Socket): Socket | null {
    const holder = accepted as unknown as { _handle?: unknown };
    const handle = holder._handle;
    if (handle === undefined || handle === null) return null;
    holder._handle = null;
    accepted.destroy();
    const onread = {
      buffer: () => (this.#receiver === null || this.#paused ? this.#scratch : this.#receiver.target()),
      callback: (count: number, buffer: Uint8Array) => {
        if (buffer === this.#scratch) this.#hand(this.#scratch.subarray(0, count));
        else if (this.#receiver?.received(count) === false) this.#paused = true;
        return !this.#paused;
      },
    };
    return new Socket({ handle, onread, allowHalfOpen: true } as unknown as SocketConstructorOpts);
  }

  #listen(socket: Socket, direct: boolean): void {
    socket.on('error', this.#onError);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
    if (!direct) socket.on('data', this.#onData);
    socket.resume();
  }

  readonly #onError = (error: Error): void => void (this.#because = error.message);
  readonly #onEnd = (): void => this.#events.ended();
  readonly #onClose = (): void => this.#events.closed(this.#because);
  readonly #onData = (chunk: Buffer): void => this.#hand(chunk);
}

const EMPTY = Buffer.alloc(0);
