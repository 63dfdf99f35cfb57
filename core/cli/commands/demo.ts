// understudy demo: a whole failover on this machine, shown and explained. Everything it tells is read from the running lab: the
// client's own answers, the nodes' own status, the journal's own story. However it ends, the lab is taken down first.
import type { Command } from 'commander';
import { reasonOf, UnderstudyError } from '../../errors/errors.js';
import { freeLabId, type LabClient, takeDown } from '../../lab/client.js';
import type { Gap } from '../../lab/gap-meter.js';
import { LAB_GROUP } from '../../lab/lab-config.js';
import { startLab } from '../../lab/start.js';
import type { SubstrateKind } from '../../lab/topology.js';
import { systemClock } from '../../system/clock.js';
import { DemoClient } from '../demo-client.js';
import { durationText, print, styled } from '../output.js';

export interface DemoOptions {
  readonly substrate: SubstrateKind | 'auto';
  readonly takeover: 'lease' | 'preempt';
  /** Leave the lab up at the end. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
}

const COUNT_MS = 1500;
/** Shorter than the 60 s of a real cluster, so that nobody has to sit through them. */
const PREEMPT_STEADY_MS = 3000;
const READY_LIMIT_MS = 45_000;
const TAKEOVER_LIMIT_MS = 30_000;

const title = (text: string): void => print(`\n${styled('bold', text)}`);
const step = (text: string): void => print(`  ${text}`);

const ms = (gap: Gap): string => styled('bold', `${Math.round(gap.ms)} ms`);

const powerLoss = async (client: DemoClient, options: DemoOptions): Promise<{ gap: Gap; survivor: string }> => {
  const active = await client.activeNode(READY_LIMIT_MS);
  const survivor = client.other(active);
  title(`3. ${active} loses its power`);
  step(
    options.takeover === 'lease'
      ? `${survivor} may take over only when ${active} is certainly stopped: it waits the takeover wait of the lease`
      : `${survivor} was steady for ${PREEMPT_STEADY_MS / 1000} s and need not wait: the epoch fences whatever ${active} might still write`,
  );
  await client.fault('power-off', active);
  const gap = await client.gapTo(survivor, TAKEOVER_LIMIT_MS);
  step(`${survivor} answers; the client saw nothing for ${ms(gap)}`);
  return { gap, survivor };
};

const backAgain = async (client: DemoClient, survivor: string): Promise<Gap> => {
  const home = client.other(survivor);
  title(`5. ${home} has power again, and the service is moved back, in order`);
  await client.fault('power-on', home);
  await client.standbyReady(survivor, home, READY_LIMIT_MS);
  step(`${home} is back as the standby; nothing moved by itself`);
  step(`understudy switchover ${LAB_GROUP} --to ${home}`);
  await client.switchover(
    survivor,
    home,
    ['switchover', LAB_GROUP, '--to', home, '--why', 'the demo shows a planned move'],
    READY_LIMIT_MS,
  );
  const gap = await client.gapTo(home, TAKEOVER_LIMIT_MS);
  step(`${home} answers; the client saw nothing for ${ms(gap)}`);
  return gap;
};

const play = async (client: DemoClient, options: DemoOptions): Promise<void> => {
  title('2. The service works');
  const active = await client.activeNode(READY_LIMIT_MS);
  step(`group ${LAB_GROUP} is online on ${active}: the address ${client.address}, and an application that counts`);
  await client.standbyReady(active, client.other(active), READY_LIMIT_MS);
  step(`${client.other(active)} stands by, ready`);
  // Preempt counts a silence only after so long without one.
  await client.count(active, options.takeover === 'preempt' ? PREEMPT_STEADY_MS + 1000 : COUNT_MS, READY_LIMIT_MS);

  const { gap: failover, survivor } = await powerLoss(client, options);

  title('4. What happened, as understudy explains it');
  // The story ends with the first monitor after the start.
  await client.activeNode(READY_LIMIT_MS);
  for (const line of (await client.understudy(survivor, 'explain')).trimEnd().split('\n')) step(line);
  step(`first good answer of ${survivor} to the client: ${Math.round(failover.ms)} ms after the last one of ${failover.before}`);

  const switchover = await backAgain(client, survivor);

  const { overlaps, sweeps, answered, byNode } = await client.summary();
  title('Result');
  step(`power loss:         ${ms(failover)} without an answer`);
  step(`planned switchover: ${ms(switchover)} without an answer`);
  step(
    `answers: ${answered} (${Object.entries(byNode)
      .map(([node, count]) => `${node} ${count}`)
      .join(', ')})`,
  );
  step(
    `two nodes active at once: ${overlaps === 0 ? styled('green', 'never') : styled('red', `${overlaps} times`)} (${sweeps} looks, one each 20 ms)`,
  );
  if (overlaps > 0) throw new UnderstudyError('LAB_FAILED', 'two nodes had the address or the application at the same time');
};

/** Plays the demo; resolves to the exit status. Rejects with LAB_FAILED or TIMED_OUT when the cluster did not do its part. */
export const demo = async (options: DemoOptions): Promise<number> => {
  const beganMs = systemClock.nowMs();
  const id = freeLabId('demo');
  let lab: LabClient | null = null;
  let done = false;
  try {
    title('1. A VPC on this machine');
    const timing = options.takeover === 'preempt' ? { settings: { timing: { profile: 'lan', steady: `${PREEMPT_STEADY_MS}ms` } } } : {};
    const cluster = { takeover: options.takeover, confirm: 'renewal', timing: 'lan', bare: false, ...timing } as const;
    lab = await startLab({ id, substrate: options.substrate, nodes: ['a', 'b'], options: cluster, onStep: step, signal: options.signal });
    step(`lab ${id}: two nodes, a and b, with understudy running on each`);
    await play(await DemoClient.open(lab, options.signal, step), options);
    done = true;
  } finally {
    lab?.close();
    if (options.keep && done) leave(id);
    else if (lab !== null) await cleanUp(id);
  }
  print(`\nDone in ${durationText(systemClock.nowMs() - beganMs)}.`);
  return 0;
};

const leave = (id: string): void => {
  title('The lab stays up (--keep)');
  for (const line of [
    `understudy lab status --id ${id}`,
    `understudy lab exec --id ${id} a -- understudy status`,
    `understudy lab fault --id ${id} power-off a`,
    `understudy lab probe --id ${id}`,
    `understudy lab down --id ${id}`,
  ])
    step(line);
};

const cleanUp = async (id: string): Promise<void> => {
  try {
    await takeDown(id);
    step('cleaned up: no process, namespace or file of the lab is left');
  } catch (thrown) {
    throw new UnderstudyError('LAB_FAILED', `could not clean up lab ${id}: ${reasonOf(thrown)}`, {
      cause: thrown,
      hint: `understudy lab down --id ${id}`,
    });
  }
};

export const define = (command: Command): void => {
  command
    .option('--substrate <kind>', 'netns (root: real packets), loopback (no root), auto', 'auto')
    .option('--takeover <mode>', 'lease (waits until the old node is certainly stopped) or preempt', 'lease')
    .option('--keep', 'leave the lab up at the end', false)
    .addHelpText('after', '\nExample: understudy demo --keep')
    .action(async ({ substrate, takeover, keep }: { substrate: string; takeover: string; keep: boolean }) => {
      if (substrate !== 'auto' && substrate !== 'netns' && substrate !== 'loopback')
        throw new UnderstudyError('USAGE', `--substrate ${substrate} is none of netns, loopback, auto`);
      if (takeover !== 'lease' && takeover !== 'preempt')
        throw new UnderstudyError('USAGE', `--takeover ${takeover} is none of lease, preempt`);
      const interrupt = new AbortController();
      const stop = (): void =>
        interrupt.abort(new UnderstudyError('LAB_FAILED', 'interrupted', { hint: 'Nothing of the demo is left running.' }));
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
      process.exitCode = await demo({ substrate, takeover, keep, signal: interrupt.signal });
    });
};
