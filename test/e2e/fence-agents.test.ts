// The fence `exec` with Debian's fence-agents as they are: fence_dummy, fence_aws against the emulator of EC2, and the metadata of
// all of them. Needs the package fence-agents, and for fence_aws a boto3 that knows AWS_ENDPOINT_URL (moto brings one).
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type FenceContext, systemClock, systemExec } from 'understudy/plugin';
import { silentLog } from 'understudy/testkit';
import { startEmulator } from '../../plugins/aws/emulator/emulator.js';
import { ExecFenceDevice } from '../../plugins/fence-agents/exec-fence-device.js';
import { EXEC_FENCE_OPTIONS } from '../../plugins/fence-agents/exec-fence.js';
import { parseMetadata } from '../../plugins/fence-agents/metadata.js';
import { twoZones } from '../plugins/aws/vpcs.js';
import { MOTO } from '../support/moto.js';
import { pythonTool } from '../support/python-tools.js';

const AGENTS = '/usr/sbin';
const exec = systemExec();
const context: FenceContext = {
  cluster: 'test',
  node: 'a',
  nodes: ['a', 'b'].map((id) => ({ id, zone: null, serviceAddress: null })),
  log: silentLog,
  run: (file, args, options) => exec.run(file, args, options),
  clock: systemClock,
  service: () => {
    throw new Error('it needs no service');
  },
};
const deviceOf = (given: Record<string, unknown>) => new ExecFenceDevice(EXEC_FENCE_OPTIONS.parse(given), context);
const fence = (device: ExecFenceDevice, limitMs = 60_000) =>
  device.fence({ node: 'b', bootId: 'b', epoch: 1, attempt: 1, signal: AbortSignal.timeout(limitMs), limitMs });

const withAgent = (title: string, agent: string, run: (t: ExecutionContext) => Promise<void>) =>
  test.serial(title, async (t) => {
    t.timeout(600_000);
    if (existsSync(join(AGENTS, agent))) return run(t);
    if (process.env['CI'] === undefined) t.log(`skipped: ${agent} is not installed (apt-get install fence-agents)`);
    t.true(process.env['CI'] === undefined, `${agent} is missing: apt-get install fence-agents`);
  });

const directory = mkdtempSync(join(tmpdir(), 'understudy-fence-agents-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

withAgent('fence_dummy: powered off and seen off; again; and nothing is made up', 'fence_dummy', async (t) => {
  const file = join(directory, 'status');
  writeFileSync(file, 'on');
  const device = deviceOf({ agent: 'fence_dummy', on: { b: { status_file: file } } });
  t.is(await device.check(AbortSignal.timeout(20_000)), null);
  t.is(readFileSync(file, 'utf8'), 'on', 'check changes nothing');
  const { evidence } = await fence(device);
  t.is(readFileSync(file, 'utf8'), 'off');
  t.regex(
    evidence,
    /^fence_dummy off ended with 0 at .* \("Success: Powered OFF"\); fence_dummy status ended with 2 at .* \("Status: OFF"\)$/,
  );
  t.regex((await fence(device)).evidence, /Already OFF/);

  const stubborn = deviceOf({ agent: 'fence_dummy', on: { b: { type: 'fail', power_timeout: 1 } } });
  await t.throwsAsync(fence(stubborn, 4_000), { code: 'TIMED_OUT', message: /b is not confirmed off by fence_dummy/ });
  await t.throwsAsync(fence(deviceOf({ agent: 'fence_dummy', on: { b: { statusfile: file } } })), { message: /has no option statusfile/ });
});

withAgent('fence_aws: stops the instance in the emulator, and a stopping one is not off', 'fence_aws', async (t) => {
  const moto = pythonTool('moto_server', MOTO);
  if (moto === null) {
    t.log(`skipped: moto_server is not installed (pip install ${MOTO})`);
    t.pass();
    return;
  }
  const python = join(dirname(moto), 'python3');
  const packages = execFileSync(python, ['-c', 'import boto3, os; print(os.path.dirname(os.path.dirname(boto3.__file__)))'], {
    encoding: 'utf8',
  });
  const emulator = await startEmulator({ vpc: twoZones({ a: '127.0.0.1', aSubnet: '127.0.0.0/8' }) });
  t.teardown(() => emulator.stop());
  const device = deviceOf({
    agent: 'fence_aws',
    options: { region: 'ap-northeast-2', access_key: 'x', secret_key: 'x', power_timeout: 5, stonith_status_sleep: 1 },
    on: { a: { plug: 'i-a' }, b: { plug: 'i-b' } },
    environment: {
      PYTHONPATH: packages.trim(),
      AWS_ENDPOINT_URL: emulator.url,
      // The agent asks instance metadata at its well-known address; the emulator answers as the proxy on the way there.
      http_proxy: emulator.url,
      no_proxy: '127.0.0.1',
    },
  });
  t.is(await device.check(AbortSignal.timeout(60_000)), null);
  const stuck = emulator.fault({ kind: 'stuck', action: 'StopInstances' });
  await t.throwsAsync(fence(device, 20_000), { code: 'TIMED_OUT', message: /fence_aws/ });
  t.is(emulator.vpc.instances['i-b']!.state, 'stopping');
  stuck();
  await emulator.change((vpc) => ({ ...vpc, instances: { ...vpc.instances, 'i-b': { ...vpc.instances['i-b']!, state: 'running' } } }));
  const { evidence } = await fence(device);
  t.regex(evidence, /fence_aws off ended with 0 at .*; fence_aws status ended with 2 at/);
  t.is(emulator.vpc.instances['i-b']!.state, 'stopped');
  t.is(emulator.vpc.instances['i-a']!.state, 'running');
});

withAgent('all agents of the package: their metadata is understood', 'fence_dummy', async (t) => {
  const names = readdirSync(AGENTS).filter((name) => name.startsWith('fence_'));
  const useless: string[] = [];
  let understood = 0;
  for (const name of names) {
    const { stdout } = await exec.run(name, [], { timeoutMs: 30_000, input: 'action=metadata\n', maxOutputBytes: 256 * 1024 });
    const found = parseMetadata(stdout);
    if (found === null || !['off', 'status'].every((action) => found.actions.includes(action))) useless.push(name);
    else if (found.parameters.length > 1 && found.parameters.every((one) => /^[A-Za-z_][\w.-]*$/.test(one.name))) understood += 1;
  }
  t.log(`${understood} understood; not usable as a fence here: ${useless.join(', ')}`);
  t.is(understood + useless.length, names.length);
  t.true(understood >= 60, `${understood} of ${names.length}`);
});
