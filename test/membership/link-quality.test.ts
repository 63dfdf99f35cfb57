import test from 'ava';
import { LinkQuality, type QualityChange, qualityLimits } from '../../core/membership/link-quality.js';

const STANDARD = qualityLimits(4_000, 1_000);

/** Beats of a peer over one of two networks, each second; `arrives` says which, and how late. */
const listen = (
  seconds: number,
  arrives: (beat: number) => number | null,
  { quality = new LinkQuality(STANDARD, 2, 'b over heartbeat-1'), rttMs = () => 1 as number | null, from = 0 } = {},
): { quality: LinkQuality; changes: (QualityChange & { readonly atMs: number })[] } => {
  const frames: { readonly seq: number; readonly atMs: number }[] = [];
  for (let beat = from; beat < from + seconds; beat += 1) {
    const lateMs = arrives(beat);
    if (lateMs !== null) frames.push({ seq: 5_000_000 + 2 * beat, atMs: 1_000 * beat + lateMs });
  }
  const changes = frames
    .sort((one, other) => one.atMs - other.atMs)
    .flatMap(({ seq, atMs }) => {
      const change = quality.heard(seq, rttMs(), atMs);
      return change === null ? [] : [{ ...change, atMs }];
    });
  return { quality, changes };
};
/** The same on every run, and none that a real network would know. */
const chanceOf = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0;
  return (seed >>> 0) / 2 ** 32;
};

for (const [profile, suspectAfterMs, heartbeatMs, expected] of [
  ['standard', 4_000, 1_000, { missedBeats: 3, windowMs: 30_000, lossRatio: 0.178, rttMs: 500 }],
  ['fast', 1_000, 250, { missedBeats: 3, windowMs: 10_000, lossRatio: 0.178, rttMs: 125 }],
  ['lan', 220, 40, { missedBeats: 5, windowMs: 10_000, lossRatio: 0.316, rttMs: 50 }],
] as const) {
  test(`the limits of the profile ${profile}: as docs/reference/config.md has them`, (t) => {
    const { lossRatio, ...limits } = qualityLimits(suspectAfterMs, heartbeatMs);
    t.like(limits, { ...expected, lossRatio: undefined });
    t.is(Math.round(1_000 * lossRatio) / 1_000, expected.lossRatio);
  });
}

test('a calm link, an hour: nothing is said', (t) => t.deepEqual(listen(3_600, () => 0).changes, []));

test('one beat in a hundred lost, an hour: nothing is said', (t) => {
  const chance = chanceOf(7);
  t.deepEqual(listen(3_600, () => (chance() < 0.01 ? null : 0)).changes, []);
});

test('frames up to 800 ms late and out of order, none lost, round trips short: nothing is said', (t) => {
  const chance = chanceOf(11);
  t.deepEqual(listen(3_600, () => 1_800 * chance()).changes, []);
});

test('a third of the beats lost: it begins within a window, says the figures and what they mean, and ends after it is better', (t) => {
  const bad = listen(60, (beat) => (beat % 3 === 0 ? null : 0));
  t.is(bad.changes.length, 1);
  t.regex(
    bad.changes[0]!.because,
    /^b over heartbeat-1: 3[1-5] % of the frames of the last 30 s are lost, round trip 1 ms; suspectAfter = 4000 ms allows 3 missed beats: a suspicion without cause is near$/,
  );
  t.true(bad.changes[0]!.atMs <= 31_000);
  t.is(bad.quality.poor, bad.changes[0]!.because);
  const { changes } = listen(120, () => 0, { quality: bad.quality, from: 60 });
  t.deepEqual(
    changes.map(({ began }) => began),
    [false],
  );
  t.true(changes[0]!.atMs > 95_000 && changes[0]!.atMs <= 125_000, 'below half of what begins it for a whole window, not at once');
  t.is(bad.quality.poor, null);
});

test('losses around the limit for an hour: it begins once, and does not come and go', (t) => {
  const chance = chanceOf(3);
  const { changes } = listen(3_600, () => (chance() < 0.2 ? null : 0));
  t.true(changes.length <= 9, `${changes.length} changes`);
  t.true(changes[0]?.began);
});

test('a round trip of 812 ms, nothing lost: said; at 300 ms it goes on; at 200 ms it ends', (t) => {
  let rttMs = 812;
  const options = { quality: new LinkQuality(STANDARD, 2, 'b over heartbeat-1'), rttMs: () => rttMs };
  const began = listen(40, () => 0, options).changes;
  t.deepEqual(
    began.map(({ lossRatio, ...change }) => [change.began, lossRatio, change.rttMs]),
    [[true, 0, 812]],
  );
  t.regex(
    began[0]!.because,
    /0 % of the frames of the last 30 s are lost, round trip 812 ms; suspectAfter = 4000 ms allows 3 missed beats/,
  );
  rttMs = 300;
  t.deepEqual(listen(40, () => 0, { ...options, from: 40 }).changes, []);
  rttMs = 200;
  t.deepEqual(
    listen(40, () => 0, { ...options, from: 80 }).changes.map((change) => change.began),
    [false],
  );
});

test('much worse while it is bad: the sentence has the new figures, and no second beginning', (t) => {
  const { quality } = listen(60, (beat) => (beat % 4 === 0 ? null : 0));
  t.regex(quality.poor ?? '', /: 2\d % of/);
  t.deepEqual(listen(60, (beat) => (beat % 2 === 0 ? null : 0), { quality, from: 60 }).changes, []);
  t.regex(quality.poor ?? '', /: [45]\d % of/);
});

test('another process of the peer counts from elsewhere: no loss', (t) => {
  const quality = new LinkQuality(STANDARD, 2, 'b over heartbeat-1');
  listen(60, () => 0, { quality });
  for (let beat = 0; beat < 60; beat += 1) t.is(quality.heard(900_000_000_000 + 2 * beat, 1, 60_000 + 1_000 * beat), null);
});

test('measured anew after a pause: what was not looked at is no loss', (t) => {
  const quality = new LinkQuality(STANDARD, 2, 'b over heartbeat-1');
  listen(60, () => 0, { quality });
  quality.restart();
  t.deepEqual(listen(60, () => 0, { quality, from: 160 }).changes, []);
});

test('the link goes down: what was bad is over, once; one that was good says nothing', (t) => {
  const { quality } = listen(60, (beat) => (beat % 3 === 0 ? null : 0));
  t.like(quality.down(), { began: false, because: 'b over heartbeat-1: nothing is heard any more' });
  t.is(quality.down(), null);
  t.is(quality.poor, null);
});
