// Memory of the pieces of a resync: as many arrays as are under way at one time, used again and again, for fresh ones cost the
// collector a third of the time that a copy takes. Invariant: an array comes back when its target has answered for all of it, so
// nobody on the way reads it any more; one of which that is not known (the connection ended) is left to the collector.

export class PieceMemory {
  readonly #pieceBytes: number;
  readonly #spare: Uint8Array[] = [];

  constructor(pieceBytes: number) {
    this.#pieceBytes = pieceBytes;
  }

  take(): Uint8Array {
    return this.#spare.pop() ?? new Uint8Array(this.#pieceBytes);
  }

  back(memory: Uint8Array): void {
    this.#spare.push(memory);
  }
}
