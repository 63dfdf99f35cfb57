// Numbers of places: as a Map has them.
import fc from 'fast-check';
import test from 'ava';
import { SparseNumbers } from '../../../plugins/disk-mirror/sparse-numbers.js';

test('any sets, deletes and clears: as a Map', (t) => {
  const place = fc.oneof(fc.nat(600), fc.nat(70_000_000));
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), place, number: fc.integer({ min: 1, max: 2 ** 32 - 1 }) }),
    fc.record({ kind: fc.constant('delete' as const), place, number: fc.constant(0) }),
    fc.record({ kind: fc.constant('clear' as const), place: fc.constant(0), number: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const numbers = new SparseNumbers();
      const map = new Map<number, number>();
      for (const { kind, place: at, number } of steps) {
        if (kind === 'set') for (const kept of [numbers, map]) kept.set(at, number);
        else if (kind === 'delete') for (const kept of [numbers, map]) kept.delete(at);
        else for (const kept of [numbers, map]) kept.clear();
        if (numbers.size !== map.size) throw new Error('another size');
        for (const { place: seen } of steps) if (numbers.get(seen) !== (map.get(seen) ?? 0)) throw new Error(`another number at ${seen}`);
      }
    }),
    { seed: 5, numRuns: Number(process.env['FC_RUNS'] ?? 50) },
  );
  t.pass();
});
