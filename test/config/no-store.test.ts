// `arbiter: { use: none }`: what the file must have for it, and what `check` says of it.
import test from 'ava';
import { readFileSync } from 'node:fs';
import { parseConfig } from '../../core/config/parse.js';
import { protectionOf } from '../../core/config/protection.js';

const good = readFileSync('test/config/good.yaml', 'utf8')
  .replace('arbiter: { use: store, address: 10.0.3.10 }', 'arbiter: { use: none }')
  .replace('fencing: { policy: watchdog }', 'fencing: { policy: required, use: power }')
  .replace(/cloud:.*\n/, '');
const said = (text: string): string => {
  const parsed = parseConfig(text, '/etc/u.yaml');
  return 'problems' in parsed ? parsed.problems.map(({ message }) => message).join('\n') : '';
};

test('two nodes, two networks, a fence: good, with a warning that says what is missing', (t) => {
  const parsed = parseConfig(good, '/etc/u.yaml');
  t.is(said(good), '');
  if ('problems' in parsed) return;
  t.deepEqual(parsed.config.arbiter, { use: 'none', options: {} });
  t.deepEqual(parsed.config.fencing.delay, { standbyMs: 20_000, randomMs: 10_000 });
  t.true(parsed.warnings.some(({ message }) => message.includes('a takeover needs a working fence or a person')));
  t.regex(
    protectionOf(parsed.config)[0] ?? '',
    /no store: it starts only with the other node's consent, or when the other is seen off by power/,
  );
});

const refused: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'a third node',
    '  b: {',
    '  c: { zone: z, networks: { heartbeat: [10.0.13.10, 10.0.23.10] } }\n  b: {',
    /exactly two nodes, and there are 3/,
  ],
  ['one heartbeat network', /heartbeat: \[(\S+), \S+\]/g as unknown as string, 'heartbeat: [$1]', /two heartbeat networks are needed/],
  ['policy watchdog', 'policy: required, use: power', 'policy: watchdog', /the fencing policy is watchdog/],
  ['policy none', 'policy: required, use: power', 'policy: none, unsafe: true', /the fencing policy is none/],
  ['preempt', 'takeover: lease', 'takeover: preempt', /preempt needs a store/],
  ['options of a store', 'use: none', 'use: none, address: 10.0.3.10', /"address" belongs to a store/],
];
for (const [what, from, to, message] of refused)
  test(`refused: ${what}`, (t) => {
    const text = good.replace(from, to);
    t.not(text, good);
    t.regex(said(text), message);
  });

test('refused: a file as the store', (t) => {
  t.regex(said(good.replace('use: none', 'use: nfs')), /has no compare-and-set/);
});
