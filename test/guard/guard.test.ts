// Guards at work: real sockets, pages and state files, a clock moved by hand (test/support/guard-host.ts).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { GuardClient } from '../../core/guard/client.js';
import type { GroupOrders } from '../../core/model/lease.js';
import { systemLocalSockets } from '../../core/system/framed-socket.js';
import { guardSocket, tombstone } from '../../core/system/paths.js';
import { type ClusterOptions, TestCluster, type TestHost } from '../support/guard-host.js';
import { LAN } from '../support/lease-world.js';

const cluster = (t: ExecutionContext, options?: ClusterOptions): TestCluster => {
  const made = new TestCluster(options);
  t.teardown(() => made.end());
  return made;
};

/** Node a holds, node b observes. */
const running = async (t: ExecutionContext, options?: ClusterOptions): Promise<{ c: TestCluster; a: TestHost; b: TestHost }> => {
  const c = cluster(t, options);
  const a = await c.host('a');
  const b = await c.host('b');
  await c.pass(LAN.takeoverWaitMs + 300);
  t.is(a.lease.phase, 'held');
  t.is(b.lease.phase, 'observe');
  return { c, a, b };
};

test.serial('first start: everybody waits W once, then exactly one holds, its page says so, and the watchdog is armed', async (t) => {
  const c = cluster(t);
  const a = await c.host('a');
  const b = await c.host('b');
  await c.pass(LAN.takeoverWaitMs - 100);
  t.is(a.lease.phase, 'observe');
  t.is(a.lease.record, 'held-unknown');
  await c.pass(300);
  t.is(a.lease.phase, 'held');
  t.is(b.lease.phase, 'observe');
  t.like(a.page(), { epoch: 1, state: 'HELD', bootId: 'a-boot1' });
  t.is(a.dog.armedWithMs, LAN.watchdogMs);
  t.is(b.dog.armedWithMs, null);
  t.deepEqual(JSON.parse(readFileSync(join(a.paths.run, 'phase', 'g'), 'utf8')), {
    bootId: 'a-boot1',
    epoch: 1,
    phase: 'held',
    members: ['a', 'b'],
  });
});

test.serial('holding for a long time: renewed, petted, never bitten, and the deadline on the page moves on', async (t) => {
  const { c, a } = await running(t);
  const before = a.page()?.deadlineMonoNs ?? 0n;
  await c.pass(5_000);
  t.is(a.lease.epoch, 1);
  t.false(a.dog.bitten);
  t.true((a.page()?.deadlineMonoNs ?? 0n) - before >= 4_500_000_000n);
  t.true(a.dog.pets > 10);
});

test.serial('planned move: verified, released, and taken by the successor without a moment passing', async (t) => {
  const { c, a, b } = await running(t);
  const startMs = c.clock.nowMs();
  const writes = b.arbiter.calls.cas;
  a.will = { want: 'release', successor: 'b' };
  a.say();
  await c.until('b holds', () => b.lease.phase === 'held');
  t.is(c.clock.nowMs(), startMs);
  t.is(b.arbiter.calls.cas, writes + 1);
  t.deepEqual(a.stop.calls, ['verify g']);
  t.is(a.page()?.state, 'RELEASED');
  t.is(b.lease.epoch, 2);
  t.is(b.event('lease.held')?.epoch, 2);
  await c.pass(300);
  t.is(a.dog.armedWithMs, null);
  t.is(a.event('watchdog.disarmed') !== undefined, true);
});

test.serial('planned move, but something is still there: not released, the lease goes on', async (t) => {
  const { c, a, b } = await running(t);
  a.stop.result = { verified: false, because: 'addr eth0 192.168.0.10/32 is still there' };
  a.will = { want: 'release', successor: 'b' };
  await c.pass(1_000);
  t.regex(a.lease.because, /192\.168\.0\.10/);
  t.is(b.lease.phase, 'observe');
  t.is(b.lease.epoch, 1);
  t.false(a.dog.bitten);
});

test.serial('power loss, takeover lease: W and never less', async (t) => {
  const { c, a, b } = await running(t);
  await a.powerOff();
  const startMs = c.clock.nowMs();
  await c.pass(LAN.takeoverWaitMs - LAN.pollMs - 2 * 50);
  t.is(b.lease.phase, 'observe');
  await c.pass(800);
  t.is(b.lease.phase, 'held');
  t.true((b.event('lease.held')?.atMs ?? 0) - startMs >= LAN.takeoverWaitMs - LAN.renewMs);
  t.truthy(b.event('peer.suspect'));
});

test.serial('power loss, takeover preempt without confirmation: from suspicion to HELD without a moment passing', async (t) => {
  const { c, a, b } = await running(t, { takeover: 'preempt', confirm: 'none', timing: { steadyMs: 2_000 } });
  b.will = { rank: 0 };
  await c.pass(3_000);
  await a.powerOff();
  await c.pass(500);
  t.is(b.lease.phase, 'held');
  t.is(b.event('lease.held')?.atMs, b.event('peer.suspect')?.atMs);
});

test.serial('power loss, takeover preempt confirmed by renewal: R and the store’s round trip after the last beat', async (t) => {
  const { c, a, b } = await running(t, { takeover: 'preempt', confirm: 'renewal', timing: { steadyMs: 2_000 } });
  await c.pass(3_000);
  await a.powerOff();
  const lostMs = c.clock.nowMs();
  await c.pass(1_000);
  t.is(b.lease.phase, 'held');
  const tookMs = (b.event('lease.held')?.atMs ?? 0) - lostMs;
  t.true(
    tookMs >= LAN.renewMs + LAN.arbiterRttMs - LAN.heartbeatMs && tookMs <= LAN.renewMs + LAN.arbiterRttMs + LAN.renewMs + 20,
    `${tookMs} ms`,
  );
});

test.serial('a reboot of the holder: its own guard gives the old epoch back, nobody waits W', async (t) => {
  const { c, a, b } = await running(t);
  await a.powerOff();
  await c.pass(200);
  a.will = { want: 'none' };
  await a.powerOn();
  await c.pass(500);
  t.is(b.lease.phase, 'held');
  t.is(b.lease.epoch, 2);
});

test.serial('the guard alone dies and comes back: the same epoch goes on, no effect on the group', async (t) => {
  const { c, a, b } = await running(t);
  a.writeHardStopList();
  await a.killGuard();
  await c.clock.advanceAsync(200);
  await a.startGuard();
  await c.pass(2_000);
  t.is(a.lease.phase, 'held');
  t.is(a.lease.epoch, 1);
  t.deepEqual(a.stop.calls, []);
  t.false(a.dog.bitten);
  t.is(b.lease.epoch, 1);
  t.truthy(a.event('lease.adopted'));
});

test.serial('the guard comes back too late: the group is stopped, the epoch is dead, and the peer is told', async (t) => {
  const { c, a, b } = await running(t);
  a.writeHardStopList();
  await a.killGuard();
  await c.clock.advanceAsync(LAN.selfFenceMs);
  a.will = { want: 'none' };
  await a.startGuard();
  await c.until('a is stopped', () => a.page()?.state === 'DEAD');
  t.deepEqual(a.stop.calls.slice(-2), ['stop g', 'verify g']);
  await c.pass(200);
  t.is(b.lease.phase, 'held');
});

test.serial('the arbiter is silent for the holder alone: it goes on by the promise of the other, also of its next guard', async (t) => {
  const { c, a, b } = await running(t);
  a.arbiter.faults.loseRequest = true;
  await c.pass(2 * LAN.takeoverWaitMs);
  t.is(a.lease.phase, 'held');
  t.regex(a.lease.because, /^FAILSAFE: arbiter silent since 6 s, extended by promise of b$/);
  t.regex(a.guard?.view().alarms.join() ?? '', /FAILSAFE/);
  t.true(a.dog.pets > 10);
  t.false(a.dog.bitten);
  t.is(b.lease.phase, 'observe', 'b reads the record, which has not changed for two W');
  t.regex(b.lease.because, /may acquire in/);
  await b.killGuard();
  await b.startGuard();
  await c.pass(200);
  t.is(a.lease.phase, 'held');
  a.arbiter.faults.loseRequest = false;
  await c.pass(300);
  t.truthy(a.event('failsafe.ended'));
  t.is(a.lease.epoch, 1);
});

test.serial('the holder dies in failsafe: the other keeps its promise, and takes over when it has run out', async (t) => {
  const { c, a, b } = await running(t);
  a.arbiter.faults.loseRequest = true;
  await c.pass(2 * LAN.takeoverWaitMs);
  await a.killGuard();
  await c.pass(LAN.takeoverWaitMs - LAN.renewMs - 100);
  t.is(b.lease.phase, 'observe');
  await c.pass(LAN.renewMs + 300);
  t.is(b.lease.phase, 'held');
});

test.serial(
  'the arbiter is silent for the holder and a member does not answer: stopped at D, and STOPPED frees the other before W',
  async (t) => {
    const { c, a, b } = await running(t);
    a.arbiter.faults.loseRequest = true;
    c.bus.deaf.add('b>a');
    const startMs = c.clock.nowMs();
    await c.pass(LAN.selfFenceMs + 400);
    t.truthy(a.event('arbiter.silent'));
    t.truthy(a.event('lease.renew-slow'));
    t.truthy(a.event('lease.fencing-self'));
    t.is(a.page()?.state, 'DEAD');
    t.is(b.lease.phase, 'held');
    t.true((b.event('lease.held')?.atMs ?? 0) - startMs < LAN.takeoverWaitMs);
    t.is(a.dog.armedWithMs, null);
  },
);

test.serial('a group that cannot be stopped: no petting from its first moment, and the host is reset after S', async (t) => {
  const { c, a } = await running(t);
  a.stop.result = { verified: false, because: 'pid 7 lives' };
  const pets = a.dog.pets;
  a.arbiter.faults.loseRequest = true;
  c.bus.deaf.add('b>a');
  await c.pass(LAN.selfFenceMs + LAN.stopBudgetMs + 100);
  t.regex(a.resets.join(), /could not be stopped/);
  t.true(a.dog.pets <= pets + 3);
  t.is(a.page()?.state, 'STOPPING');
  await c.pass(LAN.watchdogMs);
  t.true(a.dog.bitten);
});

test.serial('a tombstone of the leash: final, although the page was renewed', async (t) => {
  const { c, a } = await running(t);
  writeFileSync(tombstone(a.paths, 'g', 'dead', 1), '');
  await c.pass(300);
  t.truthy(a.event('lease.fencing-self'));
  t.regex(a.event('lease.fencing-self')?.because ?? '', /leash/);
  a.say();
  await c.pass(500);
  t.not(a.lease.phase, 'held');
  t.regex(a.lease.because, /leash is still stopping|holds epoch|released/);
});

test.serial('a watchdog that cannot be armed: nothing starts, the other node gets its turn', async (t) => {
  const c = cluster(t);
  const a = await c.host('a');
  a.dog.broken = 'no such device';
  await c.pass(LAN.takeoverWaitMs + 300);
  t.not(a.lease.phase, 'held');
  t.false(existsSync(join(a.paths.run, 'lease', 'g')) && a.page()?.state === 'HELD');
  t.regex(a.guard?.view().alarms.join() ?? '', /no such device/);
});

test.serial('a hung controller: ended after 5 s, the lease kept; never back: stopped and given up after a minute', async (t) => {
  const { c, a, b } = await running(t);
  a.talks = false;
  await c.pass(5_200);
  t.deepEqual(a.ended, [4_242]);
  t.is(a.lease.phase, 'held');
  await c.pass(56_000, 40);
  t.truthy(a.event('lease.stopped'));
  t.is(b.lease.phase, 'held');
});

/** Stands where the controller is, and never answers: a process that was stopped between its look at the page and its effect. */
const mute = async (host: TestHost, pid: number) => {
  const connection = await systemLocalSockets.connect(guardSocket(host.paths));
  connection.onMessage(() => undefined);
  connection.send({ t: 'hello', role: 'controller', pid, startTime: '7' });
  return connection;
};

test.serial('a controller without a last word is ended before an epoch is called over, also by a guard that never heard it', async (t) => {
  const { c, a } = await running(t);
  a.client?.close();
  const connection = await mute(a, 5_151);
  await c.pass(100);
  await a.killGuard();
  connection.close();
  await a.startGuard();
  writeFileSync(tombstone(a.paths, 'g', 'dead', 1), '');
  await c.pass(800);
  t.deepEqual(a.ended, [5_151]);
  const kinds = a.events.map(({ kind }) => kind);
  t.true(kinds.includes('controller.ended') && kinds.indexOf('controller.ended') < kinds.lastIndexOf('lease.stopped'), kinds.join(' '));
});

test.serial('a release wanted by a controller that does not answer any more is refused', async (t) => {
  const { c, a } = await running(t);
  a.client?.close();
  a.talks = false;
  const connection = await mute(a, 5_152);
  const will = { group: 'g', want: 'release', rank: 0, blockers: [], preemptOk: false, successor: 'b', because: 'a move' };
  connection.send({ t: 'wills', wills: [will], loopLagMs: 0, saidMs: c.clock.nowMs() });
  await c.pass(300);
  t.is(a.lease.phase, 'held');
  t.regex(a.event('lease.release-refused')?.because ?? '', /does not answer/);
  t.deepEqual(a.ended, []);
  connection.close();
});

test.serial('a hung controller is seen after a sleep of the host as before it', async (t) => {
  const { c, a } = await running(t);
  let sleptMs = 0;
  await a.killGuard();
  await a.startGuard({ bootOffsetMs: () => sleptMs });
  await c.pass(1_000);
  sleptMs = 60_000;
  a.talks = false;
  await c.pass(5_400);
  t.truthy(a.event('suspend.gap'));
  t.deepEqual(a.ended, [4_242]);
});

test.serial('a controller that leaves on purpose is waited for', async (t) => {
  const { c, a } = await running(t);
  a.client?.leave(120_000);
  a.talks = false;
  await c.pass(70_000, 40);
  t.is(a.lease.phase, 'held');
  t.regex(a.guard?.view().alarms.join() ?? '', /left on purpose/);
});

test.serial('orders: written through the guard, seen by the other without a poll, kept for the time the store is silent', async (t) => {
  const { c, a, b } = await running(t, { follow: true });
  const orders = (await a.client?.orders({
    key: 'group',
    group: 'g',
    set: { frozen: true, by: 'me', why: 'test', addClear: true },
  })) as GroupOrders;
  t.like(orders, { frozen: true, clears: 1 });
  await c.until('b sees them', () => b.guard?.view().groupOrders['g']?.frozen === true);
  await b.client?.orders({ key: 'node', node: 'a', set: { standby: true } });
  await c.until('a sees them', () => a.guard?.view().nodeOrders['a']?.standby === true);
  await b.killGuard();
  b.arbiter.faults.loseRequest = true;
  await b.startGuard();
  t.true(b.guard?.view().groupOrders['g']?.frozen);
});

test.serial('orders while the arbiter is silent: refused with the reason, in bounded time', async (t) => {
  const { c, a } = await running(t);
  a.arbiter.faults.refuse = 'bad credentials';
  const answer = t.throwsAsync(a.client?.orders({ key: 'group', group: 'g', set: { frozen: true } }) ?? Promise.resolve(), {
    code: 'ARBITER_REFUSED',
    message: /bad credentials/,
  });
  await c.pass(200);
  await answer;
});

test.serial('two writers of orders at the same time: both are kept', async (t) => {
  const { c, a, b } = await running(t);
  a.arbiter.faults.requestDelayMs = 20;
  b.arbiter.faults.requestDelayMs = 20;
  const both = Promise.all([
    a.client?.orders({ key: 'group', group: 'g', set: { addClear: true } }),
    b.client?.orders({ key: 'group', group: 'g', set: { maintenance: true } }),
  ]);
  await c.clock.settle();
  await c.pass(1_000);
  await both;
  await c.pass(200);
  t.like(a.guard?.view().groupOrders['g'], { clears: 1, maintenance: true });
});

test.serial('many groups: one read for all of them, and all renewed in one tick', async (t) => {
  const groups = ['g', 'h', 'i'];
  const { c, a } = await running(t, { groups });
  const sent: number[] = [];
  const cas = a.arbiter.cas.bind(a.arbiter);
  a.arbiter.cas = (...args) => {
    sent.push(c.clock.nowMs());
    return cas(...args);
  };
  const reads = a.arbiter.calls.read;
  await c.pass(1_000);
  t.true(new Set(sent).size <= sent.length / groups.length + 1, sent.join());
  t.true(a.arbiter.calls.read - reads <= 1_000 / LAN.pollMs + 4, `${a.arbiter.calls.read - reads} reads`);
});

test.serial('a second guard on the same run directory is refused', async (t) => {
  const c = cluster(t);
  const a = await c.host('a');
  const first = a.guard;
  await t.throwsAsync(a.startGuard(), { code: 'REFUSED', message: /already answers/ });
  t.is(a.guard, first);
});

test.serial('a leash that does not beat, and no watchdog: nothing is acquired until it does', async (t) => {
  const c = cluster(t, { watchdog: false });
  const a = await c.host('a');
  await a.killGuard();
  await a.startGuard({ needsLeash: true });
  await c.pass(LAN.takeoverWaitMs + 500);
  t.is(a.lease.phase, 'observe');
  t.regex(a.lease.because, /leash does not beat/);
  const beat = join(a.paths.run, 'leash.beat');
  mkdirSync(dirname(beat), { recursive: true });
  for (let turn = 0; turn < 5; turn += 1) {
    writeFileSync(beat, `${'x'.repeat(turn)}\n`);
    await c.pass(200);
  }
  t.is(a.lease.phase, 'held');
});

test.serial('its end leaves nothing behind: no timer, and the page as it is', async (t) => {
  const { c, a, b } = await running(t);
  for (const host of [a, b]) await host.end();
  t.is(a.page()?.state, 'HELD');
  t.is(c.clock.pendingTimers, 0);
});

test.serial(
  'a mirror asks its guard for another inSync: answered behind the page; refused, or unknown, where that is the truth',
  async (t) => {
    const { c, a } = await running(t, { mirrored: true });
    t.deepEqual(a.lease.mirror, { stale: [], forced: false, lacks: null });
    const client = (role: 'mirror' | 'reader'): GuardClient => {
      const made = new GuardClient({
        sockets: systemLocalSockets,
        path: guardSocket(a.paths),
        clock: c.clock,
        role,
        pid: 1,
        startTime: '1',
      });
      t.teardown(() => made.close());
      made.start();
      return made;
    };
    const mirror = client('mirror');
    const wish = { group: 'g', peer: 'b', bootId: null, epoch: a.lease.epoch, generation: '1', limitMs: 500 } as const;
    t.deepEqual(await mirror.inSync({ ...wish, change: 'remove' }), { kind: 'refused', because: 'the guard is not connected' });
    await c.until('the mirror hears its guard', () => mirror.view() !== null);
    const asked = async (request: Parameters<GuardClient['inSync']>[0]) => {
      const answer = mirror.inSync(request);
      let settled = false;
      void answer.then(() => (settled = true));
      for (let turns = 0; !settled && turns < 200; turns += 1) await c.pass(10);
      return answer;
    };

    t.is((await asked({ ...wish, change: 'remove' })).kind, 'ok');
    t.deepEqual(a.page()?.inSync, ['a']);
    t.regex(a.event('lease.in-sync')?.because ?? '', /^b is no longer in sync$/);
    t.like(await asked({ ...wish, change: 'remove', epoch: 99 }), { kind: 'refused' });
    t.like(await asked({ ...wish, change: 'add', bootId: 'b-boot7' }), { kind: 'refused' });
    t.is((await asked({ ...wish, change: 'add', bootId: 'b-boot1' })).kind, 'ok');
    t.deepEqual(a.page()?.inSync, ['a', 'b']);

    // The store takes the write and is not heard: nobody knows, until it is asked again.
    a.arbiter.faults.loseAnswer = true;
    t.is((await asked({ ...wish, change: 'remove' })).kind, 'unknown');
    t.deepEqual(a.page()?.inSync, ['a', 'b']);
    a.arbiter.faults.loseAnswer = false;
    t.is((await asked({ ...wish, change: 'remove' })).kind, 'ok');
    t.deepEqual(a.page()?.inSync, ['a']);
    t.is(a.lease.epoch, 1);

    const reader = client('reader');
    await c.until('the reader hears the guard', () => reader.view() !== null);
    t.is((await reader.inSync({ ...wish, change: 'remove' })).kind, 'unknown', 'the guard ends the connection of whoever may not ask');
  },
);

test.serial('a mirrored group after a power loss: whoever is not in sync does not take it, and says why', async (t) => {
  const { c, a, b } = await running(t, { mirrored: true });
  await b.powerOff();
  await c.pass(100);
  await b.powerOn();
  await c.pass(500);
  t.deepEqual(a.lease.mirror?.stale, ['b'], 'it lost with its boot what it had not flushed');
  await a.powerOff();
  await c.pass(2 * LAN.takeoverWaitMs + 500);
  t.is(b.lease.phase, 'observe');
  t.regex(b.lease.because, /the copy of b was in sync in an earlier boot, and b was not the last holder/);
  await a.powerOn();
  await c.pass(LAN.takeoverWaitMs + 500);
  t.is(a.lease.phase, 'held', 'every other copy is of a boot that is over');
  t.is(a.lease.epoch, 2);
});
