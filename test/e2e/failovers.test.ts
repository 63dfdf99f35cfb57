// Failovers one after the other in one lab, of kinds that a seed draws, with real processes and packets. Oracle: the observer,
// every 20 ms, never sees two nodes with the address or the application; nobody takes over before W has passed since the last
// renewal; after each step one node is active and the other ready. $FAILOVERS says how many (20), $SEED which.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { commandLineOf, pidsWithMark, processState } from '../../core/lab/host-processes.js';
import { namespacesOf } from '../../core/lab/netns-cleanup.js';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle, footprint, type Settled } from '../support/drill-lab.js';
import { LeaseWatch } from '../support/lease-watch.js';
import { Stalls } from '../support/stalls.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const FAILOVERS = Number(process.env['FAILOVERS'] ?? 20);
const SEED = Number(process.env['SEED'] ?? randomBytes(4).readUInt32BE());
const ID = `dr${randomBytes(3).toString('hex')}`;
/** The lan profile (SAFETY a.5). */
const [W_MS, D_MS, S_MS] = [3000, 1250, 750];
const GROUP = 'web';

/** mulberry32: the same draws for the same seed. */
const drawing = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};
const draw = drawing(SEED);
const oneOf = <T>(list: readonly T[]): T => list[Math.floor(draw() * list.length)] as T;

interface Step {
  readonly lab: DrillLab;
  readonly leases: LeaseWatch;
  readonly before: Settled;
}
/** Does it, and resolves when the cluster is whole again, with what it has to tell. Throws when the cluster did not do its part. */
type Kind = (step: Step) => Promise<string>;

/** What no stall of the machine excuses. */
class Unsafe extends Error {}
const safe = (true_: boolean, what: string): void => {
  if (!true_) throw new Unsafe(what);
};
const expect = (true_: boolean, what: string): void => {
  if (!true_) throw new Error(what);
};

/** Two renewals and their attempts do not fit in what D leaves of such a stall. */
const STALL_MS = 400;

/** Whole again, and a renewal of its epoch was seen to be written. */
const renewed = async (lab: DrillLab, leases: LeaseWatch): Promise<Settled> => {
  const settled = await lab.settled();
  await lab.until(`a renewal of epoch ${settled.epoch}`, 5000, () => Number.isFinite(leases.lastOf(settled.epoch)?.notBeforeMs));
  return settled;
};

/** The other node took over with a new epoch, no earlier than W after the last renewal and not much later. */
const takenOver = async ({ lab, leases, before }: Step, beganMs: number): Promise<string> => {
  const survivor = before.standby;
  await lab.until(`${survivor} online after the loss of ${before.active}`, 20_000, async (last) => {
    const view = await lab.group(survivor, GROUP);
    last(JSON.stringify(view));
    return view?.state === 'online' && view.active === survivor && view.epoch > before.epoch;
  });
  const acquiring = (await lab.events(survivor, 'lease.acquiring', beganMs)).find(({ epoch }) => (epoch ?? 0) > before.epoch);
  expect(acquiring !== undefined, `${survivor} journals no lease.acquiring after epoch ${before.epoch}`);
  // Both ends to the disadvantage of understudy's claim: not after the last renewal, not before the order to take over.
  const waitedMs = (acquiring?.monoMs ?? 0) - (leases.lastOf(before.epoch)?.notBeforeMs ?? Infinity);
  // Where the arbiter had been too slow for the holder, the survivor also waits out the last promise it gave: at most W from the fault on.
  const promised = (await lab.events(before.active, 'failsafe.extended', leases.lastOf(before.epoch)?.seenMs ?? 0)).length > 0;
  const longestMs = W_MS + 1500 + (promised ? Math.max(0, beganMs - (leases.lastOf(before.epoch)?.notBeforeMs ?? 0)) : 0);
  expect(waitedMs < longestMs, `the last renewal of epoch ${before.epoch} was not seen, or ${survivor} waited ${waitedMs} ms`);
  safe(
    waitedMs >= W_MS,
    `${survivor} took over ${waitedMs.toFixed(1)} ms after the last write of the lease, before W = ${W_MS} ms: ${acquiring?.because}`,
  );
  const begunMs = (acquiring?.monoMs ?? 0) - beganMs;
  expect(begunMs < W_MS + 3000, `${survivor} needed ${begunMs.toFixed(0)} ms to begin: ${acquiring?.because}`);
  return `W + ${(waitedMs - W_MS).toFixed(0)} ms`;
};

/** Nobody took the lease and nobody gave it back. */
const unmoved = async ({ lab, before }: Step, beganMs: number): Promise<void> => {
  for (const node of lab.nodes) {
    const moved = (await lab.events(node, 'lease', beganMs)).filter(({ kind }) => /acquiring|held|lost|released|fencing/.test(kind));
    expect(moved.length === 0, `${node}: ${moved.map(({ kind, because }) => `${kind} (${because})`).join('; ')}`);
  }
  const view = await lab.group(before.active, GROUP);
  expect(
    view?.active === before.active && view.epoch === before.epoch && view.state === 'online',
    `no longer as before: ${JSON.stringify(view)}`,
  );
};

const linkStates = async (lab: DrillLab): Promise<readonly string[]> => {
  const views = await Promise.all(lab.nodes.map((node) => lab.view(node)));
  return views.flatMap((view) =>
    (view?.nodes ?? [])
      .filter(({ id }) => id !== view?.node)
      .map(({ state, links }) => `${view?.node}: ${state} ${links.map(({ network, state: link }) => `${network}=${link}`).join(' ')}`),
  );
};

const offIsFact = (lab: DrillLab, node: string): Promise<boolean> =>
  lab.until(`${node} off`, 10_000, async () => !(await lab.status()).hosts.find((host) => host.node === node)?.power);

const KINDS = {
  'power loss': async (step) => {
    const beganMs = systemClock.nowMs();
    await step.lab.fault('power-off', step.before.active);
    const told = await takenOver(step, beganMs);
    await step.lab.fault('power-on', step.before.active);
    return told;
  },
  switchover: async ({ lab, before }) => {
    const answer = await lab
      .api(oneOf(lab.nodes))
      .order({ verb: 'switchover', group: GROUP, to: before.standby, wait: true, timeoutMs: 20_000, why: 'a drill' });
    await lab.until(`${GROUP} online on ${before.standby} in the next epoch`, 2000, async () => {
      const view = await lab.group(before.standby, GROUP);
      return view?.active === before.standby && view.epoch === before.epoch + 1;
    });
    return `${Math.round(answer.elapsedMs ?? 0)} ms`;
  },
  'kill -9 of all but the leash': async (step) => {
    const { lab, before } = step;
    const beganMs = systemClock.nowMs();
    await lab.fault('kill', before.active, 'run', 'guard', 'controller');
    const told = await takenOver(step, beganMs);
    expect(
      readFileSync(join(lab.paths(before.active).log, 'leash.out'), 'utf8').includes(`the lease of epoch ${before.epoch} has run out`),
      'the leash did not fire',
    );
    const ended =
      (await lab.status()).observer?.intervals.findLast(({ thing, node }) => thing.startsWith('application') && node === before.active)
        ?.toMs ?? Infinity;
    expect(ended - beganMs <= D_MS + S_MS + 100, `the application lived ${(ended - beganMs).toFixed(0)} ms after the guard`);
    // Nobody disarmed the watchdog: it resets the host, which the leash has made harmless before.
    await offIsFact(lab, before.active);
    await lab.fault('power-on', before.active);
    return `${told}, application stopped after ${(ended - beganMs).toFixed(0)} ms`;
  },
  'one heartbeat network cut one way': async (step) => {
    const { lab } = step;
    const beganMs = systemClock.nowMs();
    const cut = [oneOf(lab.nodes), oneOf(['heartbeat-1', 'heartbeat-2']), oneOf(['in', 'out'])] as const;
    await lab.fault('cut', ...cut);
    const states = await lab.until('a link down', 10_000, async (last) => {
      const seen = await linkStates(lab);
      last(seen.join('; '));
      return seen.some((each) => each.includes(`${cut[1]}=down`)) && seen;
    });
    expect(
      states.every((each) => / member /.test(each)),
      `a peer is no member: ${states.join('; ')}`,
    );
    await systemClock.sleep(500);
    await unmoved(step, beganMs);
    await lab.fault('heal');
    return cut.join(' ');
  },
  'all heartbeat networks cut': async (step) => {
    const { lab } = step;
    const beganMs = systemClock.nowMs();
    const node = oneOf(lab.nodes);
    for (const network of ['heartbeat-1', 'heartbeat-2']) await lab.fault('cut', node, network);
    const alarms = await lab.until('alarms on both nodes', 15_000, async () => {
      const views = await Promise.all(lab.nodes.map((each) => lab.view(each)));
      const all = views.map((view) => (view?.alarms ?? []).filter((alarm) => alarm.includes('is not heard over heartbeat-1, heartbeat-2')));
      return all.every((each) => each.length > 0) && all.flat();
    });
    // Longer than any takeover would need.
    await systemClock.sleep(W_MS + 1000);
    await unmoved(step, beganMs);
    await lab.fault('heal');
    return alarms[0] ?? '';
  },
  'active node isolated from everything': async (step) => {
    const { lab, before } = step;
    const beganMs = systemClock.nowMs();
    await lab.fault('cut', before.active, 'all');
    const told = await takenOver(step, beganMs);
    await lab.fault('heal');
    return told;
  },
  'SIGSTOP of the active node, longer than W': async (step) => {
    const { lab, before } = step;
    const bites = (await lab.status()).bites.length;
    const beganMs = systemClock.nowMs();
    await lab.fault('pause', before.active);
    const told = await takenOver(step, beganMs);
    const after = (await lab.status()).bites;
    expect(after.length === bites + 1 && after.at(-1)?.node === before.active, `the watchdog bit ${after.length - bites} times`);
    await offIsFact(lab, before.active);
    await lab.fault('power-on', before.active);
    return told;
  },
} satisfies Record<string, Kind>;
type KindName = keyof typeof KINDS;

/** Ten steps in which every kind comes, the commoner ones more often; the seed shuffles each ten anew. */
const BAG: readonly KindName[] = [
  ...(Object.keys(KINDS) as KindName[]),
  'power loss',
  'switchover',
  'active node isolated from everything',
];
const shuffled = (): KindName[] =>
  BAG.map((kind) => [draw(), kind] as const)
    .toSorted(([one], [other]) => one - other)
    .map(([, kind]) => kind);

const median = (numbers: readonly number[]): number => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0;

/** Every living process of the lab by its program, without what comes and goes: the leash's sleep and its short helpers. */
const census = (): readonly string[] =>
  pidsWithMark(`UNDERSTUDY_LAB=${ID}`)
    .filter((pid) => !['Z', 'X', null].includes(processState(pid)))
    .map((pid) =>
      (commandLineOf(pid) ?? [])
        .filter((word) => !/^[[{]/.test(word))
        .slice(0, 3)
        .join(' '),
    )
    .filter((words) => words !== '' && !/^(sleep|\/usr\/bin\/sleep|cksum|cat|mv) ?/.test(words))
    .toSorted();

anyTest.after.always(() => {
  if (obstacle === null) DrillLab.sweep(ID);
});

test(`${FAILOVERS} steps of mixed kinds: never two nodes, never before W, whole again after each; nothing leaks`, async (t) => {
  t.timeout(60_000 + FAILOVERS * 60_000);
  t.log(`seed ${SEED}`);
  const lab = await DrillLab.start(ID);
  const memory: Record<'guard' | 'controller', { rssKib: number[]; files: number[] }> = {
    guard: { rssKib: [], files: [] },
    controller: { rssKib: [], files: [] },
  };
  const leases = await lab.settled().then(() => new LeaseWatch(lab, GROUP));
  let before = await renewed(lab, leases);
  const [programs, namespaces] = [census(), namespacesOf(ID)];
  const beganMs = systemClock.nowMs();
  const bag: KindName[] = [];
  const counted: Record<string, number> = {};
  const stalls = new Stalls(lab);
  let voided = 0;
  try {
    for (let number = 1; number <= FAILOVERS; number++) {
      if (bag.length === 0) bag.push(...shuffled());
      const kind = bag.pop() as KindName;
      const stepMs = systemClock.nowMs();
      let told = '';
      try {
        await stalls.longestMs(stepMs);
        told = await KINDS[kind]({ lab, leases, before });
        if (kind === 'one heartbeat network cut one way' || kind === 'all heartbeat networks cut')
          await lab.until('every link up again', 10_000, async () => !(await linkStates(lab)).some((each) => each.includes('=down')));
      } catch (thrown) {
        const stalledMs = await stalls.longestMs(stepMs);
        const what = `step ${number}, ${kind}, seed ${SEED}: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
        if (thrown instanceof Unsafe || stalledMs < STALL_MS || ++voided > 2 + FAILOVERS / 20) throw new Error(what, { cause: thrown });
        t.log(`${what}: void, for the machine stood still for ${stalledMs.toFixed(0)} ms; once more`);
        number -= 1;
        bag.push(kind);
        await lab.fault('heal');
        for (const node of lab.nodes) await lab.fault('power-on', node);
      }
      // Whatever became of the step, and of the machine: never two, and whole again.
      before = await renewed(lab, leases);
      const overlaps = await lab.overlaps();
      safe(overlaps.length === 0, `step ${number}, ${kind}, seed ${SEED}: two nodes at once: ${overlaps.join('; ')}`);
      if (told === '') continue;
      counted[kind] = (counted[kind] ?? 0) + 1;
      for (const role of ['guard', 'controller'] as const)
        for (const node of lab.nodes) {
          const seen = footprint(await lab.pid(node, role));
          if (seen === null) continue;
          memory[role].rssKib.push(seen.rssKib);
          memory[role].files.push(seen.files);
        }
      t.log(`${number} ${kind}: ${told}; epoch ${before.epoch}, ${((systemClock.nowMs() - stepMs) / 1000).toFixed(1)} s`);
    }
  } finally {
    leases.stop();
    stalls.stop();
  }
  const { observer, hosts } = await lab.status();
  t.log(
    `${FAILOVERS} steps in ${((systemClock.nowMs() - beganMs) / 1000).toFixed(0)} s: ${JSON.stringify(counted)}, ${voided} void; ${observer?.sweeps} looks, the longest pause between two ${observer?.longestPauseMs.toFixed(0)} ms`,
  );
  t.deepEqual(observer?.overlaps, []);
  t.deepEqual(
    hosts.map(({ node, addresses }) => `${node} ${addresses.join()}`).toSorted(),
    lab.nodes.map((node) => `${node} ${node === before.active ? lab.topology.floating.join() : ''}`),
    'addresses',
  );
  t.deepEqual(namespacesOf(ID), namespaces, 'namespaces');
  await lab.until('the same programs as at the beginning', 5000, (last) => {
    const now = census();
    last(`${now.filter((each) => !programs.includes(each)).join('; ')} beside ${now.length} of ${programs.length}`);
    return JSON.stringify(now) === JSON.stringify(programs);
  });
  for (const [role, { rssKib, files }] of Object.entries(memory)) {
    const quarter = Math.floor(rssKib.length / 4);
    const [first, last] = [median(rssKib.slice(0, quarter)), median(rssKib.slice(-quarter))];
    t.log(
      `${role}: RSS ${(first / 1024).toFixed(1)} → ${(last / 1024).toFixed(1)} MiB, open files ${median(files.slice(0, quarter))} → ${median(files.slice(-quarter))}`,
    );
    // A tenth: V8 gives pages back when it likes; samples of one role differ by that much in an idle cluster.
    t.true(last <= first * 1.1, `${role}: median RSS of the first quarter ${first} KiB, of the last ${last} KiB`);
    t.true(median(files.slice(-quarter)) <= median(files.slice(0, quarter)) + 2, `${role}: open files`);
  }
  await lab.end();
});
