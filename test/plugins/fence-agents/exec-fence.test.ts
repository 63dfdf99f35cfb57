// The fence `exec`: the contract with an agent in memory, the protocol and its traps with small agents that really run. Debian's own
// agents are tested in test/e2e/fence-agents.test.ts.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type FenceContext, type RunOptions, type RunResult, systemClock, systemExec } from 'understudy/plugin';
import { FakeClock, fenceContract, silentLog } from 'understudy/testkit';
import { ExecFenceDevice } from '../../../plugins/fence-agents/exec-fence-device.js';
import { EXEC_FENCE_OPTIONS } from '../../../plugins/fence-agents/exec-fence.js';
import { misfit, parseMetadata } from '../../../plugins/fence-agents/metadata.js';

const METADATA = `<?xml version="1.0" ?>
<resource-agent name="fence_test" shortdesc="for tests" >
<parameters>
  <parameter name="action" unique="0" required="1"><content type="string" default="reboot" /></parameter>
  <parameter name="plug" unique="0" required="1" obsoletes="port"><getopt mixed="-n" /><content type="string" /></parameter>
  <parameter name="port" unique="0" required="1" deprecated="1"><content type="string" /></parameter>
  <parameter name="ip" unique="0" required="1"><content type="string" default="127.0.0.1" /></parameter>
  <parameter name="password" unique="0" required="0"><content type="string" /></parameter>
  <parameter name="nodename" unique="0" required="0"><content type="string" /></parameter>
</parameters>
<actions><action name="on" automatic="0"/><action name="off" /><action name="status" /><action name="monitor" /><action name="metadata" /></actions>
</resource-agent>`;

const contextOf = (run: FenceContext['run'], clock: FenceContext['clock']): FenceContext => ({
  cluster: 'test',
  node: 'a',
  nodes: ['a', 'b', 'c'].map((id) => ({ id, zone: null, serviceAddress: null })),
  log: silentLog,
  run,
  clock,
  service: () => {
    throw new Error('it needs no service');
  },
});
const result = (exitCode: number | null, stdout = '', rest: Partial<RunResult> = {}): RunResult => ({
  exitCode,
  signal: null,
  stdout,
  stderr: '',
  truncated: false,
  timedOut: false,
  aborted: false,
  elapsedMs: 5,
  ...rest,
});
const plugs = (more: Record<string, unknown> = {}) =>
  EXEC_FENCE_OPTIONS.parse({ agent: 'fence_test', on: { a: { plug: 1 }, b: { plug: 2 } }, ...more });

fenceContract(test, 'exec', () => {
  const clock = new FakeClock();
  let how = 'obeys';
  let off = false;
  const asked: string[] = [];
  const run = async (_file: string, _args: readonly string[], { input = '', signal }: RunOptions): Promise<RunResult> => {
    const action = /^action=(\w+)/.exec(input)![1]!;
    asked.push(action);
    if (how === 'silent' && action !== 'metadata')
      return new Promise((resolve) =>
        signal!.addEventListener('abort', () => resolve(result(null, '', { aborted: true, signal: 'SIGKILL' }))),
      );
    if (action === 'metadata') return result(0, METADATA);
    if (action === 'monitor') return result(0);
    if (action === 'off') {
      if (how === 'obeys') off = true;
      return how === 'dying' ? result(1, '', { stderr: 'Failed: Timed out waiting to power OFF' }) : result(0, 'Success: Powered OFF');
    }
    return off ? result(2, 'Status: OFF') : result(0, 'Status: ON');
  };
  return {
    device: new ExecFenceDevice(plugs(), contextOf(run, clock)),
    clock,
    self: 'a',
    victim: 'b',
    behave: (given) => (how = given),
    isOff: () => off,
    requests: () => asked.length,
    orders: () => asked.filter((action) => action === 'off').length,
    rate: { burst: 5, eachSecond: 0.5 },
    evidence: [/fence_test off ended with 0/, /status ended with 2 at .* \("Status: OFF"\)/],
  };
});

const directory = mkdtempSync(join(tmpdir(), 'understudy-exec-fence-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
let count = 0;
/** An agent that really runs: writes down its arguments and stdin, then does `body` with $action set. */
const agent = (body: string) => {
  count += 1;
  const path = join(directory, `agent-${count}`);
  const seen = join(directory, `seen-${count}`);
  writeFileSync(
    path,
    `#!/bin/sh\nin=$(cat)\naction=$(printf '%s\\n' "$in" | sed -n 's/^action=//p')\nif [ "$action" = metadata ]; then cat <<'XML'\n${METADATA}\nXML\nexit 0; fi\nprintf 'args=%s\\n%s\\n--\\n' "$*" "$in" >>${seen}\n${body}\n`,
    { mode: 0o755 },
  );
  return { path, seen: () => (existsSync(seen) ? readFileSync(seen, 'utf8') : '') };
};
const real = systemExec();
const realContext = contextOf((file, args, options) => real.run(file, args, options), systemClock);
const fence = (device: ExecFenceDevice, { node = 'b', limitMs = 5_000 } = {}) =>
  device.fence({ node, bootId: 'b', epoch: 1, attempt: 1, signal: AbortSignal.timeout(limitMs), limitMs });

test('the protocol: name=value lines on stdin, secrets from a file that only its owner reads, nothing in argv or in words', async (t) => {
  const secret = join(directory, 'secret');
  writeFileSync(secret, 'p=ss word\n', { mode: 0o600 });
  const { path, seen } = agent('[ $action = off ] && { echo "using p=ss word"; exit 0; }; exit 2');
  const given = { agent: path, options: { password: `file:${secret}`, ip: '10.0.0.9' }, on: { b: { plug: 7 } } };
  const device = new ExecFenceDevice(EXEC_FENCE_OPTIONS.parse(given), realContext);
  const { evidence } = await fence(device);
  t.is(
    seen(),
    ['off', 'status'].map((action) => `args=\naction=${action}\npassword=p=ss word\nip=10.0.0.9\nplug=7\nnodename=b\n--\n`).join(''),
  );
  t.false(evidence.includes('p=ss'), evidence);
  t.regex(evidence, /using \(secret\)/);
  chmodSync(secret, 0o644);
  await t.throwsAsync(fence(device), {
    code: 'KEY_UNUSABLE',
    message: /the secret password in .*its mode 644 lets others read it: chmod 0400/,
  });
});

test('off alone is no proof, nor is a status that cannot be asked', async (t) => {
  for (const [body, words] of [
    ['exit 0', /status ended with 0/],
    ['[ $action = off ] && exit 0; echo "Failed: Unable to connect" >&2; exit 1', /status ended with 1 .*Unable to connect/],
    ['[ $action = off ] && exit 1; exit 2', /off ended with 1/],
    ['[ $action = off ] && exit 0; kill -9 $$', /status was ended by SIGKILL/],
  ] as const) {
    const device = new ExecFenceDevice(EXEC_FENCE_OPTIONS.parse({ agent: agent(body).path, on: { b: { plug: 1 } } }), realContext);
    await t.throwsAsync(fence(device, { limitMs: 1_200 }), { code: 'TIMED_OUT', message: words });
  }
});

test('an agent that hangs is killed with everything it started, at once when the time is up', async (t) => {
  const alive = join(directory, 'alive');
  const { path } = agent(`sh -c 'while :; do date >${alive}; sleep 0.05; done' & wait`);
  const device = new ExecFenceDevice(EXEC_FENCE_OPTIONS.parse({ agent: path, on: { b: { plug: 1 } } }), realContext);
  const startMs = performance.now();
  await t.throwsAsync(fence(device, { limitMs: 400 }), { code: 'TIMED_OUT' });
  t.true(performance.now() - startMs < 2_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  rmSync(alive, { force: true });
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.false(existsSync(alive), 'the child it left in the background is gone too');
});

const refused: [title: string, options: Record<string, unknown>, message: RegExp][] = [
  ['no options for the node', { on: { c: { plug: 1 } } }, /no options are given for it/],
  ['the same plug for two nodes', { on: { b: { plug: 1 }, c: { plug: '1' } } }, /c has the very same options/],
  ['a misspelt option', { on: { b: { plugg: 1 } } }, /it has no option plugg; it has plug, port, ip/],
  ['a missing option', { on: { b: { ip: '10.0.0.1' } } }, /it needs plug/],
  [
    'a secret that is not there',
    { on: { b: { plug: 1, password: 'file:/nonexistent' } } },
    /cannot use the secret password in \/nonexistent: ENOENT/,
  ],
];
for (const [title, options, message] of refused) {
  test(`${title}: refused before anything is powered off`, async (t) => {
    const { path, seen } = agent('exit 0');
    const device = new ExecFenceDevice(EXEC_FENCE_OPTIONS.parse({ agent: path, ...options }), realContext);
    await t.throwsAsync(fence(device), { code: title.includes('secret') ? 'KEY_UNUSABLE' : 'REFUSED', message });
    t.is(seen(), '');
  });
}

test('check: the agent is there, is not everybody’s, describes itself, and reaches its device', async (t) => {
  const check = (path: string) =>
    new ExecFenceDevice(EXEC_FENCE_OPTIONS.parse({ agent: path, on: { b: { plug: 1 } } }), realContext).check(AbortSignal.timeout(5_000));
  const good = agent('exit 0');
  t.is(await check(good.path), null);
  t.regex(good.seen(), /action=monitor\nplug=1/);
  t.regex((await check(agent('echo "cannot log in" >&2; exit 1').path))!, /device of b cannot be reached: .*cannot log in/);
  t.regex((await check('fence_nobody_has_this'))!, /agent fence_nobody_has_this cannot be run/);
  chmodSync(good.path, 0o777);
  if (process.geteuid?.() === 0) t.regex((await check(good.path))!, /is not run as root: .* is writable by everybody/);
  const mute = join(directory, 'mute');
  writeFileSync(mute, '#!/bin/sh\necho hello\n', { mode: 0o755 });
  t.regex((await check(mute))!, /does not describe itself \(exit 0\).*hello/);
});

test('options: one line each, and what the fence says itself cannot be given', (t) => {
  const wrong = (on: unknown) => EXEC_FENCE_OPTIONS.safeParse({ agent: 'fence_test', on }).error?.issues[0]?.message;
  t.regex(JSON.stringify(EXEC_FENCE_OPTIONS.safeParse({ agent: 'fence_test', on: { b: { plug: 'a\nb' } } }).error), /a value is one line/);
  t.regex(wrong({ b: { action: 'on' } })!, /are set by the fence itself/);
  t.false(EXEC_FENCE_OPTIONS.safeParse({ agent: 'rm -rf', on: {} }).success);
  t.deepEqual(EXEC_FENCE_OPTIONS.parse({ agent: '/a', on: { b: { plug: 3, ssl: true } } }).on, { b: { plug: '3', ssl: '1' } });
});

test('metadata: an agent that cannot tell its status proves nothing; the old name of an option is as good', (t) => {
  const found = parseMetadata(METADATA)!;
  t.is(found.name, 'fence_test');
  t.is(misfit(found, ['port']), null);
  t.regex(misfit({ ...found, actions: ['off'] }, ['plug'])!, /it cannot do "status"/);
  t.is(parseMetadata('<html></html>'), null);
});
