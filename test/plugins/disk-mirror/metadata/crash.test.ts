// Every prefix of a life of the store, with power cuts that tear what was under way (SAFETY b.8.2, b.8.3), and mutants of the
// store that such a test must find.
import test from 'ava';
import type { Done } from '../../../../plugins/disk-mirror/metadata/superblock-writer.js';
import { BLOCK_BYTES } from '../../../../plugins/disk-mirror/metadata/block.js';
import { ringAt, SUPERBLOCK_AT } from '../../../../plugins/disk-mirror/metadata/layout.js';
import { encodeSuperblock } from '../../../../plugins/disk-mirror/metadata/superblock.js';
import { encodeTransaction } from '../../../../plugins/disk-mirror/metadata/log-block.js';
import { liveAndCrash, type Mutation } from '../../../support/mirror/metadata-crashes.js';

const SEEDS = Number(process.env['METADATA_CRASH_SEEDS'] ?? 4);
const STEPS = 120;

test(`${SEEDS} lives of ${STEPS} steps, the power cut at each in up to six ways: nothing promised is lost`, async (t) => {
  t.timeout(60_000 + SEEDS * 10_000);
  let crashes = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const report = await liveAndCrash({ seed, steps: STEPS });
    crashes += report.crashes;
    t.is(report.broken, null);
  }
  t.log(`${crashes} power cuts`);
  t.true(crashes > SEEDS * STEPS);
});

test('the ring goes round many times: the same rules hold all along', async (t) => {
  t.timeout(240_000);
  const report = await liveAndCrash({ seed: 77, steps: 14_000, every: 500 });
  t.is(report.broken, null);
  t.log(`${report.transactions} blocks in a ring of 128, ${report.crashes} power cuts`);
  t.true(report.transactions > 2000);
});

/** Every superblock goes into copy 0. */
const singleCopy: Mutation = (parts) => {
  let seq = 1000;
  return {
    ...parts,
    superblocks: {
      busy: false,
      abandon: () => [],
      write: (state, done: Done) => {
        seq += 2;
        const features = { compat: 0, ro: 0, incompat: 0 };
        const block = encodeSuperblock(new Uint8Array(BLOCK_BYTES), { seq, features, layout: parts.layout, state });
        parts.device.write(block, SUPERBLOCK_AT[0], done);
      },
    },
  };
};
/** As above where the other copy is not there to fall back on: what one place alone means. */
const onlyCopy: Mutation = (parts) => {
  parts.device.write(new Uint8Array(BLOCK_BYTES), SUPERBLOCK_AT[1], () => {});
  return singleCopy(parts);
};
const superblockEarly: Mutation = (parts) => ({
  ...parts,
  superblocks: {
    ...parts.superblocks,
    busy: false,
    abandon: () => [],
    write: (state, done: Done) => {
      parts.superblocks.write(state, () => {});
      parts.defer(() => done(null));
    },
  },
});
const evictWithoutPage: Mutation = (parts) => ({ ...parts, pages: { write: (_, done) => done(null) } });
const pageNotAwaited: Mutation = (parts) => ({
  ...parts,
  pages: {
    write: (pages, done) => {
      parts.pages.write(pages, () => {});
      done(null);
    },
  },
});
const logNotAwaited: Mutation = (parts) => ({
  ...parts,
  log: {
    restate: (how, done) => parts.log.restate(how, done),
    commit: (changes, done) => {
      parts.log.commit(changes, () => {});
      parts.defer(() => done(null));
    },
  },
});
/** A log whose blocks say what changed and nothing of what stays. */
const noContext: Mutation = (parts) => {
  let number = 128 * 100;
  return {
    ...parts,
    log: {
      restate: (how, done) => parts.log.restate(how, done),
      commit: (changes, done) => {
        const context = { first: 0, extents: new Uint32Array(0) };
        const block = encodeTransaction(new Uint8Array(BLOCK_BYTES), { number, changes, context }, '00112233445566778899aabbccddeeff');
        parts.device.write(block, ringAt(number++ % 128), done);
      },
    },
  };
};

for (const [title, mutate, rule, steps = STEPS, every = 1] of [
  ['single superblock copy', singleCopy, /a superblock older than the answered one|refused/],
  ['only one place for the superblock', onlyCopy, /refused|older/],
  ['superblock answered before it is durable', superblockEarly, /a superblock older than the answered one/],
  ['an extent put out without its bitmap page', evictWithoutPage, /was dirty and is clean/],
  ['an extent put out before its page is durable', pageNotAwaited, /was dirty and is clean/],
  ['active before the log is durable', logNotAwaited, /was dirty and is clean|was active/],
  ['a log without the context of the slots', noContext, /was dirty and is clean|was active|damage/, 2000, 50],
] as const satisfies readonly (readonly [string, Mutation, RegExp, number?, number?])[])
  test(`mutant, ${title}: found`, async (t) => {
    t.timeout(240_000);
    let found: string | null = null;
    for (let seed = 0; seed < 3 && found === null; seed++)
      found = (await liveAndCrash({ seed, steps, every, checkpoints: every === 1, mutate })).broken;
    t.regex(found ?? 'nothing was found', rule);
    t.log(found);
  });
