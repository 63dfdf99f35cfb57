// What a turn has said, in as few pieces as is worth it: small neighbours are copied into one, large payloads go by reference. The
// copies lie in memory that is used again, for what is made anew with every turn has the collector mark the whole heap every
// 80 ms under load, each time for 10 ms. Invariant: memory that was handed out is written to only after it has come `back`.

/** What is smaller is copied into one piece with its neighbours. */
const GATHERED_BYTES = 16 * 1024;
const ROOM_BYTES = 256 * 1024;
const MAX_SPARE = 16;

interface Room {
  readonly bytes: Uint8Array;
  /** Gatherings that lie in it and are not back. */
  out: number;
}

export interface Gathered {
  readonly pieces: readonly Uint8Array[];
  /** To be given back when the socket has taken all pieces. */
  readonly rooms: readonly Room[];
}

const newRoom = (): Room => ({ bytes: Buffer.allocUnsafeSlow(ROOM_BYTES), out: 0 });

export class Gatherer {
  readonly #spare: Room[] = [];
  /** Filled from the front; what is behind `to` is free. */
  #room = newRoom();
  #to = 0;

  gather(out: readonly Uint8Array[]): Gathered {
    const pieces: Uint8Array[] = [];
    const rooms: Room[] = [];
    let from = this.#to;
    const join = () => {
      if (this.#to > from) pieces.push(this.#room.bytes.subarray(from, this.#to));
      from = this.#to;
    };
    for (const piece of out) {
      if (piece.length > GATHERED_BYTES) {
        join();
        pieces.push(piece);
        continue;
      }
      if (this.#to + piece.length > ROOM_BYTES) {
        join();
        this.#room = this.#spare.pop() ?? newRoom();
        this.#to = 0;
        from = 0;
      }
      if (rooms.at(-1) !== this.#room) {
        this.#room.out += 1;
        rooms.push(this.#room);
      }
      this.#room.bytes.set(piece, this.#to);
      this.#to += piece.length;
    }
    join();
    return { pieces, rooms };
  }

  back(rooms: readonly Room[]): void {
    for (const room of rooms) {
      room.out -= 1;
      if (room.out > 0) continue;
      if (room === this.#room) this.#to = 0;
      else if (this.#spare.length < MAX_SPARE) this.#spare.push(room);
    }
  }
}
