// The blocks of one copy's metadata: a write is durable when it answers. Cut short by the end of its process it happened or not;
// cut short by the power, any of its sectors did. Everything above it is the production store.
import type { SimNode } from '../../../core/simulation/sim-node.js';
import type { SimProcess } from '../../../core/simulation/sim-process.js';
import type { MetadataDevice } from '../../../plugins/disk-mirror/metadata/device.js';
import { DiskTrouble } from './disk-trouble.js';
import { SECTOR } from './stamps.js';

type Done = (error: Error | null) => void;

interface Pending {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class SimMetadata {
  readonly image: Uint8Array;
  readonly trouble: DiskTrouble;
  readonly #node: SimNode;
  readonly #chance;
  readonly #pending = new Set<Pending>();

  constructor(node: SimNode, image: Uint8Array) {
    this.#node = node;
    this.image = image.slice();
    this.#chance = node.chance.stream('metadata');
    this.trouble = new DiskTrouble(node.world, node.chance.stream('metadata disk'));
  }

  forProcess(owner: SimProcess): MetadataDevice {
    owner.onEnd(() => this.#settle());
    const answer = (what: 'read' | 'write', done: Done, run: () => void) => {
      if (!owner.alive) return;
      this.#node.world.at(owner.trueMs + this.trouble.takesMs(what), () => {
        if (!owner.alive) return;
        const error = this.trouble.error(what);
        if (error === null) run();
        owner.deliver('socket', () => done(error));
      });
    };
    return {
      sizeBytes: this.image.length,
      read: (into, offset, done) => answer('read', done, () => into.set(this.image.subarray(offset, offset + into.length))),
      write: (bytes, offset, done) => {
        if (!owner.alive) return;
        const pending = { offset, bytes: bytes.slice() };
        this.#pending.add(pending);
        answer('write', done, () => this.#pending.delete(pending) && this.image.set(pending.bytes, offset));
      },
      close: () => Promise.resolve(),
    };
  }

  #settle(): void {
    const { powered } = this.#node;
    for (const { offset, bytes } of this.#pending) {
      const whole = powered && this.#chance.happens(0.5);
      for (let at = 0; at < bytes.length; at += SECTOR)
        if (whole || (!powered && this.#chance.happens(0.5))) this.image.set(bytes.subarray(at, at + SECTOR), offset + at);
    }
    this.#pending.clear();
  }
}
