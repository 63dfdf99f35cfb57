// The contract suite every arbiter must pass (core/ownership/arbiter.ts): compare-and-set and linearizable reads, also when
// many ask at once, when answers are lost, late or refused, and when the store was restored. Run it on a real store wherever
// one is to be had: a double that is kinder than the store proves nothing.
import type { ContractTest } from './agent-contract.js';
import type { ArbiterPromise, ArbiterUnderTest } from './arbiter-asking.js';
import { BAD_DAY } from './arbiter-fault-promises.js';
import { GOOD_DAY } from './arbiter-promises.js';

/** Registers the suite: one test for each promise, titled `NAME: situation: outcome`. */
export const arbiterContract = (test: ContractTest, name: string, open: () => Promise<ArbiterUnderTest>): void => {
  const keep = ({ title, needs, run }: ArbiterPromise): void =>
    test(`${name}: ${title}`, async (t) => {
      const store = await open();
      try {
        if (needs === undefined || store.faults?.[needs] !== undefined) await run(store, (key) => `${store.prefix ?? ''}${key}`);
        t.true(true); // Runners that count assertions want one; the promises assert by themselves.
      } finally {
        await store.close();
      }
    });
  for (const promise of [...GOOD_DAY, ...BAD_DAY]) keep(promise);
};
