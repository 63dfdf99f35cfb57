// Random histories of two engines (SAFETY b.8, c.1 I-D1..9): every mode and order, crashes at any call to the outside, power cuts that
// lose what was not flushed, links that break, leases that run out and are taken. More of them by MIRROR_SEEDS=FROM-TO.
import test from 'ava';
import { runHistory } from '../../../support/mirror-world/history.js';

const [from = 0, to = 80] = (process.env['MIRROR_SEEDS'] ?? '0-80').split('-').map(Number);
const SHARE = 20;

for (let first = from; first < to; first += SHARE)
  test(`seeds ${first} to ${Math.min(first + SHARE, to) - 1}: nothing answered is lost, both come together again`, (t) => {
    t.timeout(120_000);
    let answered = 0;
    for (let seed = first; seed < Math.min(first + SHARE, to); seed++) {
      const outcome = runHistory(seed);
      answered += outcome.answered;
      t.deepEqual(outcome.violations, [], `seed ${seed}:\n${outcome.story.slice(-30).join('\n')}`);
    }
    t.true(answered > 100, 'the application got answers');
  });

test('the same seed is the same history', (t) => {
  const [one, other] = [runHistory(3), runHistory(3)];
  t.deepEqual([one.story, one.told, one.calls], [other.story, other.told, other.calls]);
});
