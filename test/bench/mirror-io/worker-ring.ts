// The alternative that was measured and not taken: worker threads that take requests out of a ring in shared memory, sleep in
// Atomics.wait and wake the main thread by one message a batch or by Atomics.waitAsync. Payloads must lie in shared memory.
import { once } from 'node:events';
import { fdatasyncSync, openSync, closeSync, readSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMainThread, type MessagePort, MessageChannel, Worker, workerData } from 'node:worker_threads';
import type { Contender } from './contenders.js';

/** In Node since 16; its type comes with a later `lib` than this project's. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    cells: Int32Array,
    at: number,
    value: number,
  ): { readonly async: true; readonly value: Promise<string> } | { readonly async: false };
};

type Wake = 'message' | 'waitAsync';
const SLOTS = 256;
/** Cells of the control words: asked, taken (by whichever worker), answered, stop; the queue of slots; per slot: kind, length, offset / 512. */
const [ASKED, TAKEN, ANSWERED, STOP, QUEUE] = [0, 1, 2, 3, 8];
const FIRST = QUEUE + SLOTS;
const CELLS = 3;
const [READ, WRITE, FLUSH] = [0, 1, 2];

interface Given {
  readonly path: string;
  readonly wake: Wake;
  readonly control: SharedArrayBuffer;
  readonly memory: SharedArrayBuffer;
  readonly slotBytes: number;
  readonly port: MessagePort;
}

const SLOT_BYTES = 1024 * 1024;
const WORKERS = 2;

/** Serves requests until told to stop. */
const serve = ({ path, wake, control, memory, slotBytes, port }: Given): void => {
  const cells = new Int32Array(control);
  const fd = openSync(path, 'r+');
  for (;;) {
    const taken = Atomics.load(cells, TAKEN);
    const asked = Atomics.load(cells, ASKED);
    if (Atomics.load(cells, STOP) === 1) return closeSync(fd);
    if (taken === asked) {
      Atomics.wait(cells, ASKED, asked);
      continue;
    }
    if (Atomics.compareExchange(cells, TAKEN, taken, taken + 1) !== taken) continue;
    const slot = Atomics.load(cells, QUEUE + (taken % SLOTS));
    const [kind = 0, length = 0, block = 0] = cells.subarray(FIRST + slot * CELLS, FIRST + (slot + 1) * CELLS);
    const bytes = new Uint8Array(memory, slot * slotBytes, length);
    if (kind === READ) readSync(fd, bytes, 0, length, block * 512);
    else if (kind === WRITE) writeSync(fd, bytes, 0, length, block * 512);
    else fdatasyncSync(fd);
    Atomics.store(cells, FIRST + slot * CELLS, -1);
    Atomics.add(cells, ANSWERED, 1);
    if (wake === 'waitAsync') Atomics.notify(cells, ANSWERED);
    else port.postMessage(0);
  }
};

export const ringFile =
  (wake: Wake) =>
  async (path: string): Promise<Contender> => {
    const control = new SharedArrayBuffer(4 * (FIRST + SLOTS * CELLS));
    const memory = new SharedArrayBuffer(SLOTS * SLOT_BYTES);
    const cells = new Int32Array(control);
    const channels = Array.from({ length: WORKERS }, () => new MessageChannel());
    const workers = channels.map(
      ({ port2: port }) =>
        new Worker(fileURLToPath(import.meta.url), {
          workerData: { path, wake, control, memory, slotBytes: SLOT_BYTES, port } satisfies Given,
          transferList: [port],
        }),
    );
    await Promise.all(workers.map((worker) => once(worker, 'online')));
    const dones: (((error: Error | null) => void) | null)[] = Array.from({ length: SLOTS }, () => null);
    const reads: (Uint8Array | null)[] = Array.from({ length: SLOTS }, () => null);
    const free = Array.from({ length: SLOTS }, (_, slot) => slot);
    const active = new Set<number>();
    let answered = 0;
    let asked = 0;
    let notifying = false;
    const reap = () => {
      answered = Atomics.load(cells, ANSWERED);
      for (const slot of active) {
        if (Atomics.load(cells, FIRST + slot * CELLS) !== -1) continue;
        const done = dones[slot];
        active.delete(slot);
        free.push(slot);
        reads[slot]?.set(new Uint8Array(memory, slot * SLOT_BYTES, reads[slot].length));
        done?.(null);
      }
      if (wake === 'waitAsync') listen();
    };
    const listen = () => {
      const waiting = waitAsync(cells, ANSWERED, answered);
      if (waiting.async) void waiting.value.then(reap);
      else setImmediate(reap);
    };
    if (wake === 'waitAsync') listen();
    else for (const { port1 } of channels) port1.on('message', reap);
    const ask = (kind: number, bytes: Uint8Array | null, offset: number, done: (error: Error | null) => void) => {
      const slot = free.pop();
      if (slot === undefined) throw new Error('the ring is full');
      active.add(slot);
      dones[slot] = done;
      reads[slot] = kind === READ ? bytes : null;
      if (kind === WRITE && bytes !== null) new Uint8Array(memory, slot * SLOT_BYTES, bytes.length).set(bytes);
      cells.set([kind, bytes?.length ?? 0, offset / 512], FIRST + slot * CELLS);
      Atomics.store(cells, QUEUE + (asked % SLOTS), slot);
      asked += 1;
      if (notifying) return;
      notifying = true; // One wake-up for what a turn asks.
      process.nextTick(() => {
        notifying = false;
        Atomics.store(cells, ASKED, asked);
        Atomics.notify(cells, ASKED, WORKERS);
      });
    };
    return {
      read: (into, offset, done) => ask(READ, into, offset, done),
      write: (bytes, offset, done) => ask(WRITE, bytes, offset, done),
      flush: (done) => ask(FLUSH, null, 0, done),
      close: async () => {
        Atomics.store(cells, STOP, 1);
        Atomics.add(cells, ASKED, 1);
        Atomics.notify(cells, ASKED);
        await Promise.all(workers.map((worker) => worker.terminate()));
        for (const { port1 } of channels) port1.close();
      },
    };
  };

if (!isMainThread && (workerData as Partial<Given> | null)?.slotBytes !== undefined) serve(workerData as Given);
