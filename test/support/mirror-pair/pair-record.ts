// The record of a pair and the lease pages that follow from it, in the place of arbiter and guards: one holder, an epoch that only
// grows, and who is in sync, by boots. Invariant: as with the real ones, only the holder changes who is in sync, and only a
// node that is in sync in its present boot acquires.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type InSyncAnswer, systemFiles, systemPageClocks } from 'understudy/plugin';
import { bootOffsetMs } from '../../../core/system/boot.js';
import { openPageWriter } from '../../../core/system/page-file.js';
import { leasePage } from '../../../core/system/paths.js';
import { GROUP } from './protocol.js';

const DAY_MS = 86_400_000;

export interface Removal {
  readonly node: string;
  readonly atMs: number;
}

export class PairRecord {
  readonly #directories: Readonly<Record<string, string>>;
  readonly #boots: Record<string, string>;
  readonly #inSync: Map<string, string>;
  #seq = 0;
  epoch = 0;
  holder: string | null = null;
  /** When who left the record, before anybody was told. */
  readonly removals: Removal[] = [];

  /** `directories` and `boots` by node. */
  constructor(directories: Readonly<Record<string, string>>, boots: Readonly<Record<string, string>>) {
    this.#directories = directories;
    this.#boots = { ...boots };
    this.#inSync = new Map(Object.entries(boots));
  }

  get inSync(): readonly string[] {
    return [...this.#inSync.keys()];
  }

  booted(node: string, bootId: string): void {
    this.#boots[node] = bootId;
    if (this.holder === node) this.holder = null;
    this.#writePage(node);
  }

  isInSync(node: string): boolean {
    return this.#inSync.get(node) === this.#boots[node];
  }

  /** A takeover. Throws where the real one would be refused. `unsafe`: by an operator's word. */
  acquire(node: string, unsafe = false): number {
    if (!unsafe && !this.isInSync(node))
      throw new Error(`${node} is not in sync in its present boot: ${JSON.stringify([...this.#inSync])}`);
    const before = this.holder;
    this.epoch += 1;
    this.holder = node;
    if (unsafe) this.#inSync.clear();
    this.#inSync.set(node, this.#boots[node] ?? '');
    // The old holder's page is over before the new one's says HELD.
    if (before !== null && before !== node) this.#writePage(before);
    this.#writePage(node);
    return this.epoch;
  }

  /** The holder has ended, or is being moved. */
  release(): void {
    const { holder } = this;
    this.holder = null;
    if (holder !== null) this.#writePage(holder);
  }

  change(asker: string, change: 'add' | 'remove', peer: string, bootId: string | null, epoch: number, atMs: number): InSyncAnswer {
    if (this.holder !== asker || epoch !== this.epoch) return { kind: 'refused', because: `${asker} does not hold epoch ${epoch}` };
    if (change === 'remove') {
      if (this.#inSync.delete(peer)) this.removals.push({ node: peer, atMs });
    } else if (bootId === null) return { kind: 'refused', because: 'an add needs the boot of the peer' };
    else this.#inSync.set(peer, bootId);
    this.#writePage(asker);
    return { kind: 'ok', seq: (this.#seq += 1) };
  }

  /** A page as a guard of another mind would write it: for what must be refused whatever the page says. */
  lie(node: string, epoch: number): void {
    this.#writePage(node, { epoch, held: true, inSync: [node] });
  }

  /** The page as the record has it. */
  restore(node: string): void {
    this.#writePage(node);
  }

  #writePage(node: string, { epoch, held, inSync } = { epoch: this.epoch, held: this.holder === node, inSync: this.inSync }): void {
    const directory = this.#directories[node] ?? '';
    const bootId = this.#boots[node] ?? '';
    const path = leasePage({ run: join(directory, 'run'), state: '', log: '' }, GROUP);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const page = openPageWriter(path, systemFiles);
    page.write({
      epoch,
      state: held ? 'HELD' : 'RELEASED',
      deadlineMonoNs: systemPageClocks(bootId).monoNs() + BigInt(DAY_MS) * 1_000_000n,
      deadlineBootMs: Math.round(Number(process.hrtime.bigint() / 1_000_000n) + bootOffsetMs() + DAY_MS),
      bootOffsetMs: Math.round(bootOffsetMs()),
      bootId,
      nonce: 'pair',
      inSync: [...inSync],
    });
    page.close();
  }
}
