// The rules of the one BlockFile against parts that a test holds in its hand.
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Clock, systemClock } from 'understudy/plugin';
import type { Done } from '../../../../plugins/disk-mirror/io/block-file.js';
import { holesOf } from '../../../../plugins/disk-mirror/io/holes.js';
import { type InstantCalls, noCalls } from '../../../../plugins/disk-mirror/io/instant-calls.js';
import { ERRNO, type KernelCalls } from '../../../../plugins/disk-mirror/io/kernel-calls.js';
import { Lane, poolThreads } from '../../../../plugins/disk-mirror/io/lane.js';
import { LocalBlockFile } from '../../../../plugins/disk-mirror/io/local-block-file.js';
import { TURN_BYTES, TurnBudget } from '../../../../plugins/disk-mirror/io/turn-budget.js';
import { asked } from './block-file-suite.js';

/** A disk that answers when it is told to. */
class SlowDisk {
  readonly waiting: [what: string, done: Done][] = [];
  readonly read = (into: Uint8Array, offset: number, done: Done) => void this.waiting.push([`read ${into.length}@${offset}`, done]);
  readonly write = (bytes: Uint8Array, offset: number, done: Done) => void this.waiting.push([`write ${bytes.length}@${offset}`, done]);
  readonly flush = (done: Done) => void this.waiting.push(['flush', done]);
  readonly close = () => {};

  get asked(): string[] {
    return this.waiting.map(([what]) => what);
  }

  answer(error: Error | null = null): void {
    this.waiting.shift()?.[1](error);
  }
}

/** Time does not pass: how long a call took on a busy machine decides nothing here. */
const STILL: Clock = { ...systemClock, nowMs: () => 0 };

const withDisk = async (
  body: (file: LocalBlockFile, disk: SlowDisk) => Promise<void>,
  { instant = noCalls, lanes = 2, kernel = null }: { instant?: InstantCalls; lanes?: number; kernel?: KernelCalls | null } = {},
): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-local-'));
  writeFileSync(join(directory, 'v'), Buffer.alloc(512));
  const fd = openSync(join(directory, 'v'), 'r+');
  const disk = new SlowDisk();
  const file = new LocalBlockFile({
    fd,
    sizeBytes: 8 * TURN_BYTES,
    instant,
    pool: disk,
    holes: holesOf(fd, true, kernel),
    lanes,
    clock: STILL,
  });
  try {
    await body(file, disk);
    await file.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
};

const bytes = Buffer.alloc(4096);

test('a flush asked while one is under way: a second one, shared by all who asked meanwhile', async (t) => {
  await withDisk(async (file, disk) => {
    const answers: string[] = [];
    file.flush(() => answers.push('first'));
    file.flush(() => answers.push('second'));
    file.flush(() => answers.push('third'));
    t.deepEqual(disk.asked, ['flush']);
    disk.answer();
    t.deepEqual(answers, ['first']);
    t.deepEqual(disk.asked, ['flush']);
    disk.answer();
    t.deepEqual(answers, ['first', 'second', 'third']);
    t.deepEqual(disk.asked, []);
  });
});

test('a failed flush: told to all who waited, and nothing is written or flushed afterwards', async (t) => {
  await withDisk(async (file, disk) => {
    const first = asked((done) => file.flush(done));
    const second = asked((done) => file.flush(done));
    disk.answer(new Error('EIO'));
    disk.answer();
    t.regex(String(await first), /EIO/);
    t.regex(String(await second), /EIO/, 'what the first lost the second may not call durable');
    for (const call of [
      (done: Done) => file.write(bytes, 0, done),
      (done: Done) => file.zero(0, 4096, false, done),
      (done: Done) => file.trim(0, 4096, done),
      (done: Done) => file.flush(done),
    ])
      t.regex(String(await asked(call)), /EIO/);
    t.deepEqual(disk.asked, []);
    const read = asked((done) => file.read(bytes, 0, done));
    t.deepEqual(disk.asked, ['read 4096@0'], 'reads go on');
    disk.answer();
    t.is(await read, null);
  });
});

test('a failed write: what waited behind it is answered with its error and not carried out', async (t) => {
  await withDisk(
    async (file, disk) => {
      const one = asked((done) => file.write(bytes, 0, done));
      const two = asked((done) => file.write(bytes, 4096, done));
      t.deepEqual(disk.asked, ['write 4096@0'], 'one lane');
      disk.answer(new Error('ENOSPC'));
      t.regex(String(await one), /ENOSPC/);
      t.regex(String(await two), /ENOSPC/);
      t.deepEqual(disk.asked, []);
    },
    { lanes: 1 },
  );
});

test('an inline write that fails: answered with its error, not tried again on a thread', async (t) => {
  const instant: InstantCalls = { kind: 'nowait', read: () => 0, write: () => new Error('errno 5') };
  await withDisk(
    async (file, disk) => {
      t.regex(String(await asked((done) => file.write(bytes, 0, done))), /errno 5/);
      t.regex(String(await asked((done) => file.flush(done))), /errno 5/);
      t.deepEqual(disk.asked, []);
    },
    { instant },
  );
});

test('an inline call that did a part: the thread does the rest, no byte twice', async (t) => {
  const instant: InstantCalls = { kind: 'nowait', read: () => 512, write: () => 1024 };
  await withDisk(
    async (file, disk) => {
      const write = asked((done) => file.write(bytes, 8192, done));
      const read = asked((done) => file.read(bytes, 0, done));
      t.deepEqual(disk.asked, ['write 3072@9216', 'read 3584@512']);
      disk.answer();
      disk.answer();
      t.deepEqual(await Promise.all([write, read]), [null, null]);
    },
    { instant },
  );
});

test('more than a turn allows: the rest in the next turns, in order, and none on threads', async (t) => {
  const order: number[] = [];
  const instant: InstantCalls = {
    kind: 'memory',
    read: (into) => into.length,
    write: (some, offset) => {
      order.push(offset);
      return some.length;
    },
  };
  await withDisk(
    async (file, disk) => {
      const half = Buffer.alloc(TURN_BYTES / 2);
      const calls = [0, 1, 2, 3, 4].map((at) => asked((done) => file.write(half, at * half.length, done)));
      const small = asked((done) => file.write(bytes, 0, done));
      t.is(order.length, 2, 'a turn has room for two');
      await Promise.all([...calls, small]);
      t.deepEqual(order, [...[0, 1, 2, 3, 4].map((at) => at * half.length), 0]);
      const large = asked((done) => file.write(Buffer.alloc(TURN_BYTES + 512), 0, done));
      t.deepEqual(disk.asked, [`write ${TURN_BYTES + 512}@0`], 'what no turn has room for');
      disk.answer();
      t.is(await large, null);
    },
    { instant, lanes: 4 },
  );
});

test('a write that waits for its turn while another fails: answered with that failure, not carried out', async (t) => {
  let calls = 0;
  const instant: InstantCalls = {
    kind: 'memory',
    read: (into) => into.length,
    write: (some) => ((calls += 1) === 2 ? new Error('ENOSPC') : some.length),
  };
  await withDisk(
    async (file) => {
      const half = Buffer.alloc(TURN_BYTES / 2);
      const answers = await Promise.all([0, 1, 2].map((at) => asked((done) => file.write(half, at * half.length, done))));
      t.deepEqual(
        answers.map((error) => error?.message ?? null),
        [null, 'ENOSPC', 'ENOSPC'],
      );
      t.is(calls, 2);
    },
    { instant },
  );
});

test('budget: one request of more than a turn never, a used up turn later', (t) => {
  const budget = new TurnBudget();
  t.is(budget.take(TURN_BYTES + 512, 0), 'never');
  t.is(budget.take(TURN_BYTES, 0), 'now');
  t.is(budget.take(512, 0), 'later');
  budget.renew();
  t.is(budget.take(512, 0), 'now');
});

test('budget: a tenth of a second may be lost, then nothing is done inline until sixteen times the debt has passed', (t) => {
  const budget = new TurnBudget();
  const verdict = (nowMs: number) => {
    budget.renew();
    return budget.take(512, nowMs);
  };
  budget.spent(0, 0.9);
  budget.spent(0, 90);
  t.is(verdict(90), 'now', 'within the credit');
  budget.spent(90, 140);
  t.is(verdict(140), 'never', 'more than there was');
  const debtMs = 40;
  t.is(verdict(140 + 16 * debtMs - 1), 'never');
  t.is(verdict(140 + 16 * debtMs + 1), 'now');
  budget.spent(10_000, 100_000);
  t.is(verdict(109_999), 'never', 'ten seconds at most');
  t.is(verdict(110_001), 'now');
});

test('lane: never more at once than its limit, in the order asked', (t) => {
  const lane = new Lane(2);
  const started: number[] = [];
  const ends: (() => void)[] = [];
  for (let job = 0; job < 5000; job += 1)
    lane.run((finished) => {
      started.push(job);
      ends.push(finished);
    });
  t.deepEqual(started, [0, 1]);
  for (let end = ends.shift(); end !== undefined; end = ends.shift()) end();
  t.deepEqual(
    started,
    Array.from({ length: 5000 }, (_, job) => job),
  );
});

test('threads of the pool: what the environment says, else four', (t) => {
  t.is(poolThreads({}), 4);
  t.is(poolThreads({ UV_THREADPOOL_SIZE: '16' }), 16);
  t.is(poolThreads({ UV_THREADPOOL_SIZE: 'many' }), 4);
  t.is(poolThreads({ UV_THREADPOOL_SIZE: '9999' }), 1024);
});

/** A kernel whose fallocate answers as it is told, and notes what it was asked. */
const kernelThat = (results: number[], calls: string[]): KernelCalls => ({
  readNow: () => -ERRNO.EOPNOTSUPP,
  writeNow: () => -ERRNO.EOPNOTSUPP,
  fallocate: (_fd, mode, offset, length, done) => {
    calls.push(`${mode} ${length}@${offset}`);
    setImmediate(done, results.shift() ?? 0);
  },
  seek: (_fd, _offset, _whence, done) => setImmediate(done, -ERRNO.EINVAL),
  lock: () => 0,
  misalignment: () => 0,
});

test('zeroes: punched, else kept as a zeroed extent, else written; an unknown step is not asked twice', async (t) => {
  const calls: string[] = [];
  const kernel = kernelThat([-ERRNO.EOPNOTSUPP, -ERRNO.EOPNOTSUPP], calls);
  await withDisk(
    async (file, disk) => {
      const first = asked((done) => file.zero(0, 1536 * 1024, true, done));
      while (disk.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
      t.deepEqual(calls, ['3 1572864@0', '17 1572864@0']);
      t.deepEqual(disk.asked, ['write 1048576@0']);
      disk.answer();
      t.deepEqual(disk.asked, ['write 524288@1048576']);
      disk.answer();
      t.is(await first, null);
      const second = asked((done) => file.zero(0, 4096, true, done));
      t.deepEqual(disk.asked, ['write 4096@0']);
      disk.answer();
      t.is(await second, null);
      t.is(await asked((done) => file.trim(0, 4096, done)), null, 'a trim that cannot be is none');
      t.is(calls.length, 2);
      t.deepEqual(await file.allocated(512, 4096), [{ offset: 512, length: 4096, hole: false }]);
    },
    { kernel },
  );
});

test('a disk that fails under fallocate: an error, no zeroes over it', async (t) => {
  await withDisk(
    async (file, disk) => {
      t.regex(String(await asked((done) => file.zero(0, 4096, false, done))), /fallocate .* errno 5/);
      t.deepEqual(disk.asked, []);
      t.regex(String(await asked((done) => file.write(bytes, 0, done))), /errno 5/);
    },
    { kernel: kernelThat([-ERRNO.EIO], []) },
  );
});
