// Command lines for Windows, by their text: they are built here and run there.
import test from 'ava';
import { quoteForCmd, taskkillArgs, windowsCommand, windowsEnvironment } from '../../core/system/exec-windows.js';

const cases: [title: string, file: string, args: string[], expected: string][] = [
  ['program: itself', 'C:\\app\\x.exe', ['a b'], 'C:\\app\\x.exe|a b'],
  [
    'batch file: cmd.exe with UTF-8, every word quoted',
    'C:\\ha scripts\\move.CMD',
    ['a&b', '10.0.0.1'],
    'cmd.exe|/d|/v:off|/s|/c|"chcp 65001>nul & "C:\\ha scripts\\move.CMD" "a&b" "10.0.0.1""',
  ],
  [
    'PowerShell script: its interpreter without profile or questions',
    'C:\\ha\\move.ps1',
    ['-To', 'b'],
    'powershell.exe|-NoLogo|-NoProfile|-NonInteractive|-ExecutionPolicy|Bypass|-File|C:\\ha\\move.ps1|-To|b',
  ],
];
for (const [title, file, args, expected] of cases) {
  test(title, (t) => {
    const command = windowsCommand(file, args);
    t.is([command.file, ...command.args].join('|'), expected);
    t.is(command.verbatim, /\.cmd$/i.test(file));
  });
}

test('words for cmd.exe: a trailing backslash does not eat the quote, what cannot be quoted is refused', (t) => {
  t.is(quoteForCmd('C:\\dir\\'), '"C:\\dir\\\\"');
  t.is(quoteForCmd(''), '""');
  for (const word of ['a"b', '%PATH%', 'a\nb']) t.throws(() => quoteForCmd(word), { message: /cannot be passed to a batch file/ });
});

test('ending a tree: asked first, then forced', (t) => {
  t.is(taskkillArgs(42, 'terminate').join(' '), '/PID 42 /T');
  t.is(taskkillArgs(42, 'kill').join(' '), '/PID 42 /T /F');
});

test('environment: what Windows needs, UNDERSTUDY_ and nothing else of the service', (t) => {
  const env = windowsEnvironment({ addEnv: { X: '1' } }, { SystemRoot: 'D:\\Win', SECRET: 's', UNDERSTUDY_NODE: 'a', TEMP: 'T' });
  t.deepEqual(Object.keys(env).sort(), ['PYTHONUTF8', 'Path', 'SystemRoot', 'TEMP', 'UNDERSTUDY_NODE', 'X']);
  t.true(env['Path']?.startsWith('D:\\Win\\System32;D:\\Win;'));
});
