// What every BlockFile must do, whatever carries it out: the same questions for each way of opening one.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import test, { type ExecutionContext } from 'ava';
import type { BlockFile, Done } from '../../../../plugins/disk-mirror/io/block-file.js';
import { type BlockFileOptions, openBlockFile } from '../../../../plugins/disk-mirror/io/open-block-file.js';

export interface Kind {
  readonly name: string;
  /** Where its files lie. */
  readonly directory: string;
  readonly options: BlockFileOptions;
  /** Makes a device of the file; what it answers is opened, and given back by `free`. */
  readonly device?: (path: string) => { readonly path: string; readonly free: () => void };
}

const SIZE = 2 * 1024 * 1024;
const SLOT = 64 * 1024;
const SLOTS = SIZE / SLOT;
const RUNS = Number(process.env['FC_RUNS'] ?? 40);

/** Asks and waits; fails when it answers twice or before the call returned. */
export const asked = (call: (done: Done) => void): Promise<Error | null> =>
  new Promise((resolve, reject) => {
    let returned = false;
    let answers = 0;
    call((error) => {
      answers += 1;
      if (!returned) reject(new Error('answered before the call returned'));
      else if (answers > 1) reject(new Error('answered twice'));
      else setImmediate(() => (answers === 1 ? resolve(error) : reject(new Error('answered twice'))));
    });
    returned = true;
  });

/** A file of random bytes, opened as the kind says, gone afterwards. */
export const withFile = async (kind: Kind, body: (file: BlockFile, path: string, content: Buffer) => Promise<void>): Promise<void> => {
  const directory = mkdtempSync(join(kind.directory, 'understudy-io-'));
  const image = join(directory, 'volume.img');
  const content = randomBytes(SIZE);
  let free = () => {};
  try {
    writeFileSync(image, content);
    const device = kind.device?.(image);
    free = device?.free ?? free;
    const path = device?.path ?? image;
    const file = await openBlockFile(path, kind.options);
    await body(file, path, content);
    await file.close();
  } finally {
    free();
    rmSync(directory, { recursive: true });
  }
};

type Op = 'write' | 'read' | 'zero' | 'punch' | 'trim' | 'flush';
interface Step {
  readonly op: Op;
  readonly slot: number;
  readonly from: number;
  readonly sectors: number;
  readonly fill: number;
}

const step = fc.record({
  op: fc.constantFrom<Op>('write', 'write', 'write', 'read', 'read', 'zero', 'punch', 'trim', 'flush'),
  slot: fc.nat(SLOTS - 1),
  from: fc.nat(SLOT / 512 - 1),
  sectors: fc.integer({ min: 1, max: SLOT / 512 }),
  fill: fc.integer({ min: 1, max: 255 }),
});

/** Starts one step and checks what it answers; the model changes at once, for no two steps of a batch share a slot. */
const perform = (t: ExecutionContext, file: BlockFile, model: Buffer, { op, slot, from, sectors, fill }: Step): Promise<void> => {
  const offset = slot * SLOT + from * 512;
  const length = Math.min(sectors * 512, SLOT - from * 512);
  const fine = (call: (done: Done) => void) =>
    asked(call)
      .then((error) => t.is(error, null, `${op} at ${offset}`))
      .then(() => {});
  switch (op) {
    case 'write': {
      const bytes = Buffer.alloc(length, fill);
      bytes.writeUInt32LE(offset, 0);
      bytes.copy(model, offset);
      return fine((done) => file.write(bytes, offset, done));
    }
    case 'read': {
      const into = Buffer.alloc(length, 0xee);
      const expected = Buffer.from(model.subarray(offset, offset + length));
      return fine((done) => file.read(into, offset, done)).then(() => {
        if (!into.equals(expected)) t.fail(`read of ${length} at ${offset} gave other bytes`);
      });
    }
    case 'zero':
    case 'punch':
      model.fill(0, offset, offset + length);
      return fine((done) => file.zero(offset, length, op === 'punch', done));
    case 'trim':
      // Its content no longer matters: written over at once, so that the model knows it again.
      return fine((done) => file.trim(offset, length, done)).then(() =>
        perform(t, file, model, { op: 'write', slot, from, sectors, fill }),
      );
    case 'flush':
      return fine((done) => file.flush(done));
  }
};

export const blockFileSuite = (kind: Kind): void => {
  const named = (title: string) => `${kind.name}: ${title}`;

  test(named('any mixture of requests at once: the bytes are those of a plain array'), async (t) => {
    await withFile(kind, async (file, _path, content) => {
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(step, { selector: ({ slot }) => slot, minLength: 1, maxLength: SLOTS }), async (steps) => {
          await Promise.all(steps.map((one) => perform(t, file, content, one)));
        }),
        { numRuns: RUNS, seed: 12 },
      );
      const all = Buffer.alloc(SIZE);
      t.is(await asked((done) => file.read(all, 0, done)), null);
      t.true(all.equals(content));
    });
  });

  test(named('outside of the volume: an error, and the volume goes on'), async (t) => {
    await withFile(kind, async (file) => {
      const bytes = Buffer.alloc(4096);
      for (const offset of [SIZE, SIZE - 512, -4096, Number.NaN, 0.5]) {
        t.regex(String((await asked((done) => file.write(bytes, offset, done)))?.message), /not inside/);
        t.regex(String((await asked((done) => file.read(bytes, offset, done)))?.message), /not inside/);
      }
      t.is(await asked((done) => file.write(bytes, SIZE - 4096, done)), null);
    });
  });

  test(named('closed while requests are under way: each is answered first, then it is closed'), async (t) => {
    await withFile(kind, async (file, path) => {
      const answered: (Error | null)[] = [];
      const note: Done = (error) => answered.push(error);
      const bytes = randomBytes(SLOT);
      for (let slot = 0; slot < SLOTS; slot += 1) file.write(bytes, slot * SLOT, note);
      file.flush(note);
      await file.close();
      t.deepEqual(
        answered,
        Array.from({ length: SLOTS + 1 }, () => null),
      );
      t.throws(() => file.flush(note), { message: /closed file/ });
      const again = await openBlockFile(path, kind.options);
      const into = Buffer.alloc(SLOT);
      t.is(await asked((done) => again.read(into, SIZE - SLOT, done)), null);
      t.true(into.equals(bytes));
      await again.close();
    });
  });

  test(named('a callback that asks again and again: timers and sockets have their turn'), async (t) => {
    await withFile(kind, async (file) => {
      let turns = 0;
      let going = true;
      const into = Buffer.alloc(4096);
      const again: Done = (error) => {
        t.is(error, null);
        if (going) file.read(into, 0, again);
      };
      again(null);
      await new Promise<void>((resolve) => {
        const turn = () => {
          turns += 1;
          if (turns < 20) return void setImmediate(turn);
          going = false;
          resolve();
        };
        setImmediate(turn);
      });
      t.is(turns, 20);
    });
  });

  test(named('where data lies: in order, without gaps, over the range asked for'), async (t) => {
    await withFile(kind, async (file) => {
      t.is(await asked((done) => file.zero(SLOT, 4 * SLOT, true, done)), null);
      for (const [offset, length] of [
        [0, SIZE],
        [SLOT + 512, 2 * SLOT],
        [SIZE - 512, 512],
      ] as const) {
        const runs = await file.allocated(offset, length);
        let at = offset;
        for (const run of runs) {
          t.is(run.offset, at);
          t.true(run.length > 0);
          if (run.hole) t.true(run.offset >= SLOT && run.offset + run.length <= 5 * SLOT, 'only what was given back is a hole');
          at += run.length;
        }
        t.is(at, offset + length);
      }
      await t.throwsAsync(file.allocated(0, SIZE + 512), { message: /not inside/ });
    });
  });
};

/** What only a file can show: it is seen by others, and it can be cut. */
export const fileSuite = (kind: Kind): void => {
  const named = (title: string) => `${kind.name}: ${title}`;

  test(named('read, written and seen by others: the same bytes'), async (t) => {
    await withFile(kind, async (file, path, content) => {
      const bytes = randomBytes(8192);
      t.is(await asked((done) => file.write(bytes, 4096, done)), null);
      t.is(await asked((done) => file.flush(done)), null);
      bytes.copy(content, 4096);
      t.true(readFileSync(path).equals(content));
      t.is(file.sizeBytes, SIZE);
    });
  });

  test(named('a file that ends too early: the read fails, the volume goes on'), async (t) => {
    await withFile(kind, async (file, path) => {
      truncateSync(path, SIZE / 2);
      const error = await asked((done) => file.read(Buffer.alloc(8192), SIZE / 2 + 4096, done));
      t.true(error instanceof Error, 'short of bytes');
      t.is(await asked((done) => file.write(Buffer.alloc(4096), 0, done)), null);
    });
  });
};
