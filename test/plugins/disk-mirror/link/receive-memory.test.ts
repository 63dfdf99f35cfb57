// Memory of what arrived: used again when it is back, and never before.
import fc from 'fast-check';
import test from 'ava';
import { ReceiveMemory } from '../../../../plugins/disk-mirror/link/receive-memory.js';

const lent = (memory: ReceiveMemory, payload: Uint8Array): Uint8Array => {
  memory.lend(payload);
  return payload;
};

test('given back: used again, in the same size class', (t) => {
  const memory = new ReceiveMemory();
  const one = lent(memory, memory.take(100_000));
  t.is(one.length, 100_000);
  t.not(memory.take(120_000).buffer, one.buffer, 'it is still out');
  memory.recycle(one);
  t.is(memory.take(120_000).buffer, one.buffer);
});

test('given back twice, by another view, or by a stranger: nothing is used that is still out', (t) => {
  const memory = new ReceiveMemory();
  const one = lent(memory, memory.take(100_000));
  memory.recycle(one.subarray(0));
  t.not(memory.take(100_000).buffer, one.buffer, 'another view is not the one that was handed out');
  memory.recycle(one);
  const two = lent(memory, memory.take(100_000));
  t.is(two.buffer, one.buffer);
  memory.recycle(one);
  t.not(memory.take(100_000).buffer, two.buffer, 'the old view says nothing about the new one');
  memory.recycle(new Uint8Array(131_072));
  memory.lend(new Uint8Array(10));
});

test('any payloads cut from slabs and taken, given back in any order: no byte of one that is out is ever written to', (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 300_000 }), fc.nat()), { maxLength: 120 }), (steps) => {
      const memory = new ReceiveMemory();
      const out: { readonly payload: Uint8Array; readonly mark: number }[] = [];
      let mark = 0;
      for (const [kind, bytes, which] of steps) {
        if (kind === 3 && out.length > 0) {
          const [gone] = out.splice(which % out.length, 1);
          if (gone !== undefined) memory.recycle(gone.payload);
          continue;
        }
        const room = kind === 0 ? memory.take(bytes) : memory.room();
        const length = Math.min(bytes, room.length);
        mark = (mark % 255) + 1;
        const payload = kind === 0 ? room : room.subarray(0, length);
        payload.fill(mark);
        if (kind !== 0) memory.spent(length);
        out.push({ payload: lent(memory, payload), mark });
        for (const one of out) if (one.payload[0] !== one.mark || one.payload.at(-1) !== one.mark) t.fail('written over');
      }
    }),
    { seed: 5, numRuns: Number(process.env['FC_RUNS'] ?? 200) },
  );
  t.pass();
});
