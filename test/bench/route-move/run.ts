// How long a start of overlay-ip takes: one route table and three, against an API with 100 ms latency; and what a client that
// is not warm costs. Beside it, where the AWS CLI is installed, one `ec2 replace-route` of it, as registered scripts use it.
// Run: npm run -s build && node dist/test/bench/route-move/run.js
import { execFileSync, spawn } from 'node:child_process';
import { systemClock } from 'understudy/plugin';
import { OverlayIpAgent } from '../../../plugins/aws/overlay-ip-agent.js';
import { OVERLAY_IP_OPTIONS } from '../../../plugins/aws/overlay-ip.js';
import { contextOf, middle, startWorld } from '../../plugins/aws/agent-world.js';
import { VIP } from '../../plugins/aws/vpcs.js';

const RUNS = 10;
const LATENCY_MS = 100;
const ACCESS = { assumeRole: null };

const ends: (() => Promise<void>)[] = [];
const world = async () => startWorld((end) => void ends.push(end));
const timed = async (work: () => Promise<unknown> | unknown): Promise<number> => {
  const begun = systemClock.nowMs();
  await work();
  return systemClock.nowMs() - begun;
};
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const say = (what: string, ms: number, more = '') => process.stdout.write(`${what.padEnd(58)} ${ms.toFixed(0).padStart(6)} ms${more}\n`);

const cold = await world();
const agentOf = ({ ec2, imds, addresses }: typeof cold) => new OverlayIpAgent(ec2, imds, addresses, systemClock, middle);
const optionsFor = (count: number) =>
  OVERLAY_IP_OPTIONS.parse({ address: VIP, routeTables: ['rtb-1', 'rtb-2', 'rtb-3'].slice(0, count), eni: 'eni-b', interface: 'eth0' });
const start = (on: typeof cold, count: number) => timed(() => agentOf(on).start(contextOf(optionsFor(count))));

say('first start, nothing warm (SDK, credentials, connection)', await start(cold, 3));
const warm = await world();
await warm.ec2.warm(['rtb-1'], ACCESS, { signal: AbortSignal.timeout(10_000), timeoutMs: 10_000 });
say('first start, warmed as a standby is', await start(warm, 3));

warm.emulator.fault({ kind: 'latency', ms: LATENCY_MS });
const medians = new Map<number, number>();
for (const count of [1, 3]) {
  const taken: number[] = [];
  for (let run = 0; run < RUNS; run += 1) taken.push(await start(warm, count));
  medians.set(count, median(taken));
  say(`${count} table${count === 1 ? '' : 's'}, ${LATENCY_MS} ms latency: replaced and read back, median of ${RUNS}`, medians.get(count)!);
}
process.stdout.write(`three tables in ${(medians.get(3)! / medians.get(1)!).toFixed(2)} times the time of one\n`);

warm.emulator.clearFaults();
try {
  const args = [
    'ec2',
    'replace-route',
    '--endpoint-url',
    warm.emulator.url,
    '--route-table-id',
    'rtb-1',
    '--destination-cidr-block',
    `${VIP}/32`,
    '--network-interface-id',
    'eni-a',
  ];
  const env = { ...process.env, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_DEFAULT_REGION: 'ap-northeast-2' };
  const once = () =>
    new Promise((resolve, reject) => spawn('aws', args, { env, stdio: 'ignore' }).once('error', reject).once('exit', resolve));
  const taken = [await timed(once), await timed(once), await timed(once)];
  say(
    `one replace-route by ${execFileSync('aws', ['--version'], { encoding: 'utf8' }).split(' ')[0]}, no latency, median of 3`,
    median(taken),
  );
} catch (thrown) {
  process.stdout.write(`the AWS CLI was not measured: ${String(thrown)}\n`);
}
for (const end of ends) await end();
