// Crash points, one after the other (SAFETY b.8.2): a short life with writes, a flush, a lost link and a resync is ended by every call
// to the outside that either node makes, by power or by process; power loses sampled subsets of what was not flushed, torn at
// sectors. Then all is healed, and must be whole.
import test from 'ava';
import { History } from '../../../support/mirror-world/history.js';
import type { NodeOptions } from '../../../support/mirror-world/mirror-node.js';

const ASYNC = { maxLagBytes: 1_000_000, maxLagMs: 5_000, full: 'throttle' } as const;
const WAYS: readonly NodeOptions[] = [
  { mode: 'sync', order: 'remote-first', async: ASYNC },
  { mode: 'sync', order: 'parallel', async: ASYNC },
  { mode: 'async', order: 'remote-first', async: ASYNC },
];

const life = (
  options: NodeOptions,
  side: 'a' | 'b',
  how: 'power' | 'process',
  call: number,
): { readonly calls: number; readonly violations: readonly string[] } => {
  const history = new History(call, options);
  const { world } = history;
  const { nodes, link, application } = world;
  const turn = () => {
    world.run(400);
    world.tick(60);
  };
  nodes.a.start();
  nodes.b.start();
  link.connect();
  turn();
  world.acquire('a');
  world.promote('a');
  turn();
  const before = nodes[side].process!.calls;
  nodes[side].crashAt = { call: before + call, how };
  for (let at = 0; at < 6; at++) application.write(at * 3, 4, at === 2);
  application.flush();
  turn();
  link.break('cut');
  for (let at = 0; at < 6; at++) application.write(at * 5, 3);
  turn();
  turn();
  link.connect();
  for (let again = 0; again < 6; again++) {
    application.write(again * 7, 2);
    turn();
  }
  const calls = (nodes[side].process?.calls ?? before) - before;
  nodes[side].crashAt = null;
  history.heal();
  return { calls, violations: world.violations };
};

for (const options of WAYS)
  for (const side of ['a', 'b'] as const)
    for (const how of ['power', 'process'] as const)
      test(`${options.mode} ${options.order}: ${side} ends by ${how} at every call`, (t) => {
        t.timeout(120_000);
        const { calls } = life(options, side, how, 1_000_000);
        t.true(calls > 40, `${calls} calls are enumerated`);
        for (let call = 1; call <= calls; call++) t.deepEqual(life(options, side, how, call).violations, [], `call ${call} of ${calls}`);
      });
