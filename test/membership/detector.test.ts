import test from 'ava';
import { Detector, effectiveSuspectAfterMs } from '../../core/membership/detector.js';

// One line is one event at its time in ms: `100 heard n1 boot`, `200 tick`, `300 paused 250` (since 250). What it says follows behind `->`.
const play = (script: string, networks: readonly string[] = ['n1', 'n2']): { detector: Detector; story: string[] } => {
  const detector = new Detector({ peers: [{ id: 'b', networks }], heartbeatMs: 40, suspectAfterMs: 220, lostAfterMs: 3000 }, 0);
  const story = script
    .trim()
    .split('\n')
    .map((line) => {
      const [at, what, network = '', boot = 'x'] = line.trim().split(' ');
      const nowMs = Number(at);
      const changes =
        what === 'heard'
          ? detector.heard('b', network, boot, nowMs)
          : what === 'tick'
            ? detector.tick(nowMs)
            : (detector.paused(Number(network), nowMs), []);
      return `${line.trim()} -> ${changes.map((change) => (change.kind === 'link' ? `${change.network} ${change.state}` : change.kind === 'peer' ? `${change.state}${change.jeopardy === true ? ' in jeopardy' : ''}` : change.kind === 'jeopardy' ? `jeopardy ${change.began ? 'began' : 'ended'}` : change.kind === 'boot' ? `boot ${change.from}>${change.to}` : change.kind)).join(', ')}`;
    });
  return { detector, story };
};
const scenario = (title: string, script: string, networks?: readonly string[]) =>
  test(title, (t) => {
    const lines = script
      .trim()
      .split('\n')
      .map((line) => line.trim());
    t.deepEqual(
      play(lines.map((line) => line.split(' ->')[0]!).join('\n'), networks).story,
      lines.map((line) => (line.endsWith('->') ? `${line} ` : line)),
    );
  });

scenario(
  'never heard: unseen, however long it is silent',
  `
  1000 tick ->
  99000 tick ->`,
);

scenario(
  'heard, then silent on both networks: suspect after 220 ms, lost after W, not a millisecond before',
  `
  100 heard n1 -> boot null>x, n1 up, member
  100 heard n2 -> n2 up
  319 tick ->
  320 tick -> n1 down, n2 down, suspect
  3099 tick ->
  3100 tick -> lost
  9000 tick ->
  9001 heard n1 -> n1 up, member`,
);

scenario(
  'one network cut: its link is down, the peer stays a member',
  `
  100 heard n1 -> boot null>x, n1 up, member
  100 heard n2 -> n2 up
  200 heard n1 ->
  320 heard n1 ->
  320 tick -> n2 down
  500 heard n1 -> jeopardy began
  700 tick ->
  700 heard n2 -> n2 up, jeopardy ended`,
);

scenario(
  'a network on which the peer was never heard: down once it was heard elsewhere for as long',
  `
  100 heard n1 -> boot null>x, n1 up, member
  200 heard n1 ->
  319 tick ->
  320 tick -> n2 down`,
);

scenario(
  'the observer paused: silence counts from the end of the pause',
  `
  100 heard n1 -> boot null>x, n1 up, member
  100 heard n2 -> n2 up
  5000 paused 140 ->
  5000 tick ->
  5219 tick ->
  5220 tick -> n1 down, n2 down, suspect
  5300 heard n2 -> n2 up, member`,
);

scenario(
  'an observer that pauses again and again: suspicion waits for time without a pause, a suspect is lost after W of listening',
  `
  100 heard n1 -> boot null>x, n1 up, member
  100 heard n2 -> n2 up
  300 paused 200 ->
  500 tick ->
  500 paused 400 ->
  719 tick ->
  720 tick -> n1 down, n2 down, suspect
  1500 paused 1400 ->
  2500 paused 2400 ->
  3500 paused 3000 ->
  4199 tick ->
  4200 tick -> lost`,
);

scenario(
  'one network only: five beats and 100 ms at least',
  `
  100 heard n1 -> boot null>x, n1 up, member
  399 tick ->
  400 tick -> n1 down, suspect`,
  ['n1'],
);

scenario(
  'the peer came back with another boot: told, also while it is a member',
  `
  100 heard n1 x -> boot null>x, n1 up, member
  150 heard n1 y -> boot x>y`,
);

test('suspectAfter: as configured with two networks, bounded below with one', (t) => {
  t.deepEqual(
    [
      effectiveSuspectAfterMs(220, 40, 2),
      effectiveSuspectAfterMs(220, 40, 1),
      effectiveSuspectAfterMs(4000, 1000, 1),
      effectiveSuspectAfterMs(9000, 1000, 1),
    ],
    [220, 300, 5100, 9000],
  );
});

const steady: [title: string, script: string, steadyMs: number][] = [
  ['never heard: 0', '100 tick', 0],
  ['heard from 100 to 300: 200', '100 heard n1\n200 heard n2\n300 heard n1', 200],
  ['it stays through the silence that follows', '100 heard n1\n300 heard n1\n600 tick\n9000 tick', 200],
  ['a gap of suspectAfter begins it anew', '100 heard n1\n300 heard n1\n520 heard n1\n600 heard n1', 80],
  ['a shorter gap does not', '100 heard n1\n319 heard n1\n500 heard n1', 400],
  ['another boot begins it anew', '100 heard n1 x\n200 heard n1 y\n250 heard n1 y', 50],
  ['a gap that we slept through is a gap too: stricter', '100 heard n1\n300 heard n1\n900 paused 300\n900 heard n1\n950 heard n1', 50],
];
for (const [title, script, steadyMs] of steady) test(`steady, ${title}`, (t) => t.is(play(script).detector.steadyMs('b'), steadyMs));

test('the next due moment: what tick acts on, and nothing before', (t) => {
  const { detector } = play('100 heard n1\n150 heard n2');
  t.is(detector.nextDueMs(), 320, 'link n1');
  t.deepEqual(detector.tick(319.9), []);
  t.is(detector.tick(320).length, 1);
  t.is(detector.nextDueMs(), 370);
});

scenario(
  'jeopardy: heard over the last network after the other was given up, until a second is back; said of the silence that follows',
  `
  100 heard n1 -> boot null>x, n1 up, member
  100 heard n2 -> n2 up
  300 heard n1 ->
  330 tick -> n2 down
  340 heard n1 -> jeopardy began
  380 heard n1 ->
  400 heard n2 -> n2 up, jeopardy ended
  420 heard n1 ->
  620 tick -> n2 down
  630 heard n1 -> jeopardy began
  850 tick -> n1 down, suspect in jeopardy
  900 heard n2 -> n2 up, member
  910 heard n2 ->
  1100 heard n1 -> n1 up
  1110 heard n2 ->`,
);

scenario(
  'no jeopardy: both fall silent at once, one after the other within a beat; or there is one network only',
  `
  100 heard n1 -> boot null>x, n1 up, member
  110 heard n2 -> n2 up
  325 tick -> n1 down
  330 tick -> n2 down, suspect`,
);
