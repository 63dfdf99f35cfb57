// Whatever prints a secret or a cluster key prints where it lies or its number, and never what it is.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format, inspect } from 'node:util';
import test from 'ava';
import { openLog } from '../../core/log/log.js';
import { jsonLine } from '../../core/log/stderr-log.js';
import { generateKey, loadKeys } from '../../core/system/key-file.js';
import { systemRandom } from '../../core/system/random.js';
import { Secret } from '../../core/system/secret.js';

const directory = mkdtempSync(join(tmpdir(), 'understudy-secret-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const file = join(directory, 'password');
const CONTENT = 'h"nter 2&Zz';
const secret = (content = CONTENT, mode = 0o600) => {
  writeFileSync(file, `${content}\n`);
  chmodSync(file, mode);
  return new Secret(`file:${file}`, 'the password');
};

test.serial('read late, printed never: every way to print shows the reference', async (t) => {
  const password = secret();
  t.is(password.reveal(), CONTENT);
  const shown = [
    [password].join(''),
    String(password),
    JSON.stringify({ password }),
    inspect({ deep: { password } }, { showHidden: true, depth: 9 }),
    format('%s %o %O %j %d', password, password, password, password, password),
    jsonLine({ password, error: new Error(String(password), { cause: password }) }),
    JSON.stringify(Object.assign({}, password)),
    JSON.stringify(structuredClone(password)),
    String(Object.getOwnPropertyNames(password)),
  ];
  const log = openLog({ directory, name: 'x', env: {} });
  log.error('all of it', { password, list: [password] });
  await log.close();
  shown.push(readFileSync(join(directory, 'x.log'), 'utf8'));
  for (const text of shown) t.false(text.includes('nter'), text);
  t.is(shown[0], `file:${file}`);
  writeFileSync(file, 'another\n');
  t.is(password.reveal(), 'another', 'as it is now');
});

test.serial('words of a program that was given it: taken out, in the usual codings too', (t) => {
  const password = secret();
  const bytes = Buffer.from(password.reveal());
  const said = [CONTENT, JSON.stringify(CONTENT), encodeURIComponent(CONTENT), bytes.toString('base64'), bytes.toString('hex')].join(' | ');
  t.regex(password.hideIn(said), /^\(secret\) \| "\(secret\)" \| \(secret\) \| \(secret\)=* \| \(secret\)$/);
  t.is(secret().hideIn('nothing was read yet'), 'nothing was read yet');
});

test.serial('what cannot be used is told with its path, and a secret in place is not repeated', (t) => {
  t.throws(() => secret(CONTENT, 0o640).reveal(), {
    code: 'KEY_UNUSABLE',
    message: /the password .*password: its mode 640 lets others read it/,
  });
  t.throws(() => secret('').reveal(), { message: /it is empty/ });
  t.throws(() => secret('a\nb').reveal(), { message: /more than one line/ });
  t.throws(() => secret('x'.repeat(70_000)).reveal(), { message: /longer than 65536 bytes/ });
  t.throws(() => new Secret(`file:${directory}`).reveal(), { message: /it is not a file/ });
  for (const given of ['hunter2', 'file:relative', ''])
    t.false(inspect(t.throws(() => new Secret(given), { code: 'CONFIG_INVALID', message: /write file:\/PATH/ })).includes(given || '\0'));
});

test.serial('the cluster key: its number is printed, its bytes are not', (t) => {
  writeFileSync(file, generateKey(systemRandom), { mode: 0o600 });
  const keys = loadKeys(file);
  const { bytes } = keys.current;
  t.is(bytes.length, 32);
  const shown = [
    JSON.stringify(keys),
    inspect(keys, { showHidden: true, depth: 9 }),
    JSON.stringify(Object.assign({}, keys.current)),
    jsonLine({ keys }),
  ].join();
  t.true(shown.includes(`"id":${keys.current.id}`));
  for (const form of [
    Buffer.from(bytes).toString('hex'),
    Buffer.from(bytes).toString('base64').slice(0, 20),
    [...bytes].slice(0, 6).join(','),
    [...bytes].slice(0, 6).join(', '),
  ])
    t.false(shown.includes(form), shown);
});
