import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { processorTime } from '../../core/system/processor-time.js';

test('processor time: of a process that runs it grows, of none there is none', async (t) => {
  const before = processorTime(process.pid);
  if (before === null) return t.fail('this kernel does not count');
  for (const endMs = performance.now() + 30; performance.now() < endMs; );
  const after = processorTime(process.pid);
  t.true((after?.ranMs ?? 0) > before.ranMs + 1);
  t.true((after?.waitedMs ?? -1) >= before.waitedMs);
  t.true(after?.runnable);
  await sleep(0);
  t.is(processorTime(2 ** 22 + 1), null);
});
