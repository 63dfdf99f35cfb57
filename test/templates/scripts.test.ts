// The script templates: those for Linux run, against an `aws` of our own; those for Windows are read, since nothing here can
// run them: the commands they build, the settings they share with the Linux ones, their encoding.
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';

const template = (path: string) => join('templates/scripts', path);
const text = (path: string) => readFileSync(template(path), 'utf8');

/** Keeps each table's target in a file. FAIL_rtb=n: the first n replaces fail. STALE_rtb: reads answer something else. */
const FAKE_AWS = `#!/bin/sh
echo "aws $*" >>"$WORLD/calls"
verb=$2; shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --route-table-id|--route-table-ids) table=$2 ;;
    --network-interface-id) eni=$2 ;;
  esac
  shift
done
case $verb in
  replace-route)
    eval "fail=\\\${FAIL_$table:-0}"
    tried=$(cat "$WORLD/tried-$table" 2>/dev/null || echo 0)
    echo $((tried + 1)) >"$WORLD/tried-$table"
    [ "$fail" = hang ] && exec /bin/sleep 30
    [ "$tried" -ge "$fail" ] || { echo "UnauthorizedOperation" >&2; exit 254; }
    echo "$eni" >"$WORLD/table-$table" ;;
  create-route) echo "$eni" >"$WORLD/table-$table" ;;
  describe-route-tables)
    eval "stale=\\\${STALE_$table:-}"
    if [ -n "$stale" ]; then echo "$stale"; else cat "$WORLD/table-$table"; fi ;;
esac
`;

const world = (t: ExecutionContext) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-scripts-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  const program = (name: string, body: string) => {
    writeFileSync(join(bin, name), body);
    chmodSync(join(bin, name), 0o755);
  };
  program('aws', FAKE_AWS);
  program('sleep', '#!/bin/sh\nexec /bin/sleep 0.01\n');
  const read = (file: string) => {
    const result = spawnSync('cat', [join(directory, file)], { encoding: 'utf8' });
    return result.stdout.trim();
  };
  const run = (script: string, args: string[], env: Record<string, string>) => {
    const copy = join(directory, script.split('/').at(-1) ?? '');
    copyFileSync(template(script), copy);
    // A file, not a pipe: an application that goes on would hold the pipe open, and the wait for its end with it.
    const output = openSync(join(directory, 'output'), 'w');
    const { status } = spawnSync(copy, args, {
      stdio: ['ignore', output, output],
      timeout: 30_000,
      env: { PATH: [bin, '/usr/bin', '/bin'].join(delimiter), WORLD: directory, ...env },
    });
    closeSync(output);
    return { status, stderr: readFileSync(join(directory, 'output'), 'utf8') };
  };
  return { directory, program, read, run };
};
const MOVE = 'linux/move-route.sh';
const SETTINGS = { ROUTE_TABLES: 'rtb1 rtb2 rtb3', ADDRESS: '192.168.0.10', ENI: 'eni-b' };

test('move-route: every table, read back, bounded calls', (t) => {
  const { run, read } = world(t);
  const { status, stderr } = run(MOVE, [], { ...SETTINGS, REGION: 'ap-northeast-2', UNDERSTUDY_NODE: 'b', UNDERSTUDY_TO: 'b' });
  t.is(status, 0, stderr);
  t.deepEqual(
    ['rtb1', 'rtb2', 'rtb3'].map((table) => read(`table-${table}`)),
    ['eni-b', 'eni-b', 'eni-b'],
  );
  const calls = read('calls').split('\n');
  t.is(calls.length, 6);
  const limits = '--region ap-northeast-2 --output text --cli-connect-timeout 2 --cli-read-timeout 5';
  t.true(
    calls.includes(
      `aws ec2 replace-route --route-table-id rtb2 --destination-cidr-block 192.168.0.10/32 --network-interface-id eni-b ${limits}`,
    ),
    calls.join('\n'),
  );
  t.true(
    calls.some((call) =>
      call.includes(
        "describe-route-tables --route-table-ids rtb2 --query RouteTables[0].Routes[?DestinationCidrBlock=='192.168.0.10/32'].NetworkInterfaceId | [0]",
      ),
    ),
  );
});

test('move-route: IPv6, and settings from the file beside it', (t) => {
  const { run, read, directory } = world(t);
  writeFileSync(join(directory, 'move-route.conf'), 'ROUTE_TABLES=rtb1\nADDRESS=fd00::10\nENI=eni-b\n');
  t.is(run(MOVE, [], {}).status, 0);
  t.regex(read('calls'), /replace-route --route-table-id rtb1 --destination-ipv6-cidr-block fd00::10\/128 /);
});

test('move-route: a refusal that passes is tried again, one that lasts is named, the others move', (t) => {
  const { run, read } = world(t);
  const { status, stderr } = run(MOVE, [], { ...SETTINGS, FAIL_rtb1: '1', FAIL_rtb2: '99' });
  t.is(status, 1);
  t.regex(stderr, /NOT moved: rtb2\n$/);
  t.deepEqual(
    ['rtb1', 'rtb2', 'rtb3'].map((table) => read(`table-${table}`)),
    ['eni-b', '', 'eni-b'],
  );
  t.is(read('tried-rtb2'), '3');
});

test('move-route: an answer that the table does not confirm is no success', (t) => {
  const { run } = world(t);
  const { status, stderr } = run(MOVE, [], { ...SETTINGS, ROUTE_TABLES: 'rtb1', STALE_rtb1: 'eni-a', TRIES: '2' });
  t.is(status, 1);
  t.regex(stderr, /read back something else \(try 2\)/);
});

test('move-route: a call that hangs is ended', (t) => {
  const { run } = world(t);
  const { status, stderr } = run(MOVE, [], { ...SETTINGS, ROUTE_TABLES: 'rtb1', FAIL_rtb1: 'hang', TRIES: '1', CALL_SECONDS: '1' });
  t.is(status, 1, stderr);
});

test('move-route: a missing route is made only where allowed', (t) => {
  const one = world(t);
  t.is(one.run(MOVE, [], { ...SETTINGS, ROUTE_TABLES: 'rtb1', FAIL_rtb1: '99', TRIES: '1' }).status, 1);
  t.is(one.run(MOVE, [], { ...SETTINGS, ROUTE_TABLES: 'rtb1', FAIL_rtb1: '99', TRIES: '1', CREATE_ROUTE: 'yes' }).status, 0);
  t.is(one.read('table-rtb1'), 'eni-b');
});

test('move-route: not our turn, or no settings: no call at all', (t) => {
  const { run, read } = world(t);
  t.is(run(MOVE, [], { ...SETTINGS, UNDERSTUDY_NODE: 'a', UNDERSTUDY_TO: 'b' }).status, 0);
  t.is(run(MOVE, [], { ADDRESS: '192.168.0.10' }).status, 2);
  t.is(read('calls'), '');
});

test('move-route: the interface is asked from IMDSv2 with a token', (t) => {
  const { run, read, program } = world(t);
  program(
    'curl',
    '#!/bin/sh\ncase "$*" in *api/token) echo T ;; *"token: T"*/mac) echo 02:aa ;; *"token: T"*macs/02:aa/interface-id) echo eni-own ;; *) exit 22 ;; esac\n',
  );
  t.is(run(MOVE, [], { ROUTE_TABLES: 'rtb1', ADDRESS: '192.168.0.10' }).status, 0);
  t.is(read('table-rtb1'), 'eni-own');
  program('curl', '#!/bin/sh\nexit 28\n');
  const { status, stderr } = run(MOVE, [], { ROUTE_TABLES: 'rtb1', ADDRESS: '192.168.0.10' });
  t.is(status, 2);
  t.regex(stderr, /set ENI/);
});

test('app: start, status and stop, each twice', (t) => {
  const { run, directory } = world(t);
  const env = { APP_COMMAND: '/bin/sleep 60', APP_PIDFILE: join(directory, 'pid') };
  const app = (...args: string[]) => run('linux/app.sh', args, env).status;
  t.deepEqual([app('status'), app('start'), app('status'), app('start'), app('status')], [3, 0, 0, 0, 0]);
  const pid = Number(readFileSync(env.APP_PIDFILE, 'utf8'));
  t.is(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '/bin/sleep\0' + '60\0', 'the pid is the program itself');
  t.deepEqual([app('stop'), app('status'), app('stop')], [0, 3, 0]);
  t.is(app('restart'), 2);
});

test('app: alive but not serving: start fails, status says 1', (t) => {
  const { run, directory } = world(t);
  const env = { APP_COMMAND: '/bin/sleep 60', APP_PIDFILE: join(directory, 'pid'), APP_CHECK: 'test -e "$WORLD/ready"', APP_SECONDS: '3' };
  t.is(run('linux/app.sh', ['start'], env).status, 1);
  t.is(run('linux/app.sh', ['status'], env).status, 1);
  writeFileSync(join(directory, 'ready'), '');
  t.is(run('linux/app.sh', ['status'], env).status, 0);
  t.is(run('linux/app.sh', ['stop'], env).status, 0);
});

const shellcheck = spawnSync('shellcheck', ['--version']).status === 0;
test('shellcheck: clean', (t) => {
  if (!shellcheck) return t.pass('skipped: shellcheck is not installed');
  const { stdout, status } = spawnSync('shellcheck', ['-s', 'sh', template(MOVE), template('linux/app.sh')], { encoding: 'utf8' });
  t.is(status, 0, stdout);
});

test('Windows: ASCII, UTF-8 output whatever the code page, CRLF for cmd.exe', (t) => {
  for (const file of ['move-route.ps1', 'move-route.cmd', 'app.ps1']) t.notRegex(text(`windows/${file}`), /[^\n\r\t -~]/, file);
  t.notRegex(text('windows/move-route.cmd').replaceAll('\r\n', ''), /[\r\n]/);
  t.regex(text('windows/move-route.cmd'), /chcp 65001 >nul/);
  for (const file of ['move-route.ps1', 'app.ps1'])
    t.regex(text(`windows/${file}`), /\[Console\]::OutputEncoding = New-Object System\.Text\.UTF8Encoding/);
});

test('Windows: the same calls, with the same limits, read back', (t) => {
  const ps1 = text('windows/move-route.ps1');
  const cmd = text('windows/move-route.cmd');
  for (const words of [
    'replace-route',
    'describe-route-tables',
    '--route-table-id',
    '--network-interface-id',
    '--destination-cidr-block',
    'UNDERSTUDY_TO',
    'ROUTE_TABLES',
    'NOT moved:',
  ]) {
    t.true(ps1.includes(words), `ps1: ${words}`);
    t.true(cmd.includes(words), `cmd: ${words}`);
  }
  t.regex(ps1, /'--cli-connect-timeout', '2', '--cli-read-timeout', '5'/);
  t.regex(cmd, /--cli-connect-timeout 2 --cli-read-timeout 5/);
  t.regex(ps1, /"RouteTables\[0\]\.Routes\[\?\$key=='\$cidr'\]\.NetworkInterfaceId \| \[0\]"/);
  t.regex(cmd, /"RouteTables\[0\]\.Routes\[\?DestinationCidrBlock=='%CIDR%'\]\.NetworkInterfaceId \| \[0\]"/);
  t.regex(ps1, /WaitForExit\(\$seconds \* 1000\)[\s\S]*taskkill\.exe \/PID \$process\.Id \/T \/F/);
  for (const exit of [/exit 0/, /exit 1/, /exit 2/]) t.regex(ps1, exit);
  for (const exit of [/exit \/b 0/, /exit \/b 1/, /exit \/b 2/]) t.regex(cmd, exit);
});

test('Windows: every setting of the Linux script has its counterpart', (t) => {
  const settings = [...text(MOVE).matchAll(/^# {3}([A-Z_]+) {2,}/gm)].map((match) => match[1] ?? '');
  t.deepEqual(settings, ['ROUTE_TABLES', 'ADDRESS', 'ENI', 'REGION', 'CREATE_ROUTE', 'TRIES', 'CALL_SECONDS']);
  for (const setting of settings) t.true(text('windows/move-route.ps1').includes(`'${setting}'`), setting);
});

test('Windows: labels of the batch file that are called exist, and its brackets close', (t) => {
  const cmd = text('windows/move-route.cmd');
  const labels = new Set([...cmd.matchAll(/^:(\w+)\r$/gm)].map((match) => match[1]));
  for (const [, target] of cmd.matchAll(/(?:goto |call :)(\w+)/g)) t.true(labels.has(target), target);
  for (const file of ['move-route.ps1', 'app.ps1']) {
    const code = text(`windows/${file}`).replaceAll(/<#[\s\S]*?#>|#.*$|"[^"\n]*"|'[^'\n]*'/gm, '');
    for (const [open, close] of ['{}', '()', '[]'])
      t.is(code.split(open ?? '').length, code.split(close ?? '').length, `${file} ${open}${close}`);
  }
});
