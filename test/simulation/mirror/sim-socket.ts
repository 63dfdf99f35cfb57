// One end of a simulated TCP connection, as far as the link uses a socket of Node: in order, late rather than lost; half-open when
// a host loses power or a way is cut; reset when the host answers again and knows nothing of it. Bytes that the kernel has not
// taken are looked at when it takes them.
import { EventEmitter } from 'node:events';
import type { Network } from '../../../core/simulation/network.js';
import type { SimProcess } from '../../../core/simulation/sim-process.js';
import type { Sink } from '../../../plugins/disk-mirror/link/peer-network.js';

export const HOP_MS = 0.2;
/** A segment that was not acknowledged is sent again after this, and then twice as late, up to the longest. */
const AGAIN_MS = 200;
const LONGEST_AGAIN_MS = 3_000;
/** So often for an end that was closed here and is not reached. */
const LAST_TRIES = 20;
/** What the kernels of both ends keep of one direction. */
const WINDOW_BYTES = 96 * 1024;
const NOTHING = Buffer.alloc(0);

export class SimSocket extends EventEmitter {
  other: SimSocket | null = null;
  readonly #owner: SimProcess;
  readonly #boot: number;
  readonly #medium: Network;
  readonly #network: number;
  readonly #sink: Sink | null;
  /** Given by the process and not taken by the kernel. */
  #waiting: { readonly bytes: Uint8Array; readonly taken: (() => void) | undefined }[] = [];
  writableLength = 0;
  /** Taken by the kernel here, not yet at the other. */
  #sending: Buffer[] = [];
  #sendingBytes = 0;
  /** Here, not yet read. */
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #underWay = false;
  #tries = 0;
  #readable = false;
  #finished = false;
  #finSent = false;
  destroyed = false;

  constructor(owner: SimProcess, medium: Network, network: number, sink: Sink | null) {
    super();
    this.#owner = owner;
    this.#boot = owner.node.boot;
    this.#medium = medium;
    this.#network = network;
    this.#sink = sink;
    // The kernel says goodbye for a process that was killed; a host without power says nothing.
    owner.onEnd(() => this.#shut());
  }

  /** No end of this boot and process is there any more. */
  get gone(): boolean {
    return this.destroyed || !this.#owner.alive || this.#owner.node.boot !== this.#boot;
  }

  write(bytes: Uint8Array, taken?: () => void): boolean {
    if (this.destroyed || !this.#owner.alive) return false;
    this.#waiting.push({ bytes, taken });
    this.writableLength += bytes.length;
    this.#fill();
    return this.writableLength === 0;
  }

  cork(): void {}

  uncork(): void {}

  resume(): this {
    return this;
  }

  destroy(): this {
    this.#shut();
    return this;
  }

  /** The network or the other host ends it: whoever reads is told. */
  reset(): void {
    if (this.destroyed) return;
    this.#sending = [];
    this.#finSent = true;
    this.#owner.enqueue('socket', 0, () => {
      if (this.destroyed) return;
      this.#shut();
      if (this.listenerCount('error') > 0) this.emit('error', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
      this.emit('close');
    });
  }

  #shut(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#waiting = [];
    this.writableLength = 0;
    this.#received = [];
    this.#send();
  }

  #fill(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const inFlight = this.#sendingBytes + (this.other === null ? 0 : this.other.#receivedBytes);
      if (inFlight > 0 && inFlight + next.bytes.length > WINDOW_BYTES) break;
      this.#waiting.shift();
      this.writableLength -= next.bytes.length;
      this.#sending.push(Buffer.from(next.bytes));
      this.#sendingBytes += next.bytes.length;
      if (next.taken !== undefined) process.nextTick(next.taken);
    }
    this.#send();
  }

  /** What there is goes at once, as one segment; the next when it has arrived. */
  #send(): void {
    if (this.#underWay || (this.#sendingBytes === 0 && (!this.destroyed || this.#finSent))) return;
    this.#underWay = true;
    this.#owner.node.world.at(this.#owner.trueMs + HOP_MS + this.#lateMs(), () => this.#arrive());
  }

  #arrive(): void {
    const { node } = this.#owner;
    const { other } = this;
    this.#underWay = false;
    // Nobody sends again for a host that lost its power.
    if (other === null || !node.powered || node.boot !== this.#boot) return;
    const to = other.#owner.node;
    if (!to.powered || !this.#open(to.id)) return this.#again();
    this.#tries = 0;
    if (other.gone) return this.reset();
    const bytes = this.#sending;
    this.#sending = [];
    other.#receivedBytes += this.#sendingBytes;
    this.#sendingBytes = 0;
    other.#received.push(...bytes);
    if (this.destroyed) {
      this.#finSent = true;
      other.#finished = true;
    }
    other.#wake();
    this.#fill();
    return undefined;
  }

  #again(): void {
    this.#tries += 1;
    if (this.destroyed && this.#tries > LAST_TRIES) return;
    this.#underWay = true;
    this.#owner.node.world.after(Math.min(LONGEST_AGAIN_MS, AGAIN_MS * 2 ** Math.min(this.#tries, 6)), () => this.#arrive());
  }

  #open(to: string): boolean {
    const { node } = this.#owner;
    return node.world.nowMs >= this.#medium.way(this.#network, node.id, to).cutUntilMs;
  }

  /** What loss and weather cost a stream: time. */
  #lateMs(): number {
    const { node, chance } = this.#owner;
    const { other } = this;
    if (other === null) return 0;
    const { weather } = this.#medium;
    const way = this.#medium.way(this.#network, node.id, other.#owner.node.id);
    const { nowMs } = node.world;
    let lateMs = nowMs < way.lateUntilMs ? way.lateMs : 0;
    const loss = nowMs < way.lossyUntilMs ? Math.max(way.loss, weather.loss) : weather.loss;
    for (let againMs = AGAIN_MS; againMs <= LONGEST_AGAIN_MS && chance.happens(loss); againMs *= 2) lateMs += againMs;
    return chance.happens(weather.late) ? lateMs + Math.min(LONGEST_AGAIN_MS, chance.heavyTail(1, weather.lateMs)) : lateMs;
  }

  /** One event for all that has arrived, also when the process was stopped for long. */
  #wake(): void {
    if (this.#readable || this.destroyed) return;
    this.#readable = true;
    if (!this.#owner.deliver('socket', () => this.#read())) this.#readable = false;
  }

  #read(): void {
    this.#readable = false;
    const bytes = this.#received.length === 1 ? (this.#received[0] ?? NOTHING) : Buffer.concat(this.#received);
    this.#received = [];
    this.#receivedBytes = 0;
    for (let at = 0; at < bytes.length && !this.destroyed; ) at += this.#hand(bytes.subarray(at));
    if (this.other !== null) this.other.#fill();
    if (!this.#finished || this.destroyed) return;
    this.emit('end');
    this.destroy();
    this.emit('close');
  }

  #hand(bytes: Buffer): number {
    if (this.#sink === null) {
      this.emit('data', bytes);
      return bytes.length;
    }
    const room = this.#sink.buffer();
    const count = Math.min(room.length, bytes.length);
    room.set(bytes.subarray(0, count));
    this.#sink.received(count, room);
    return count;
  }
}
