import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openLog } from '../../core/log/log.js';
import { stderrLog } from '../../core/log/stderr-log.js';
import { systemClock } from '../../core/system/clock.js';
import { UnderstudyError } from '../../core/errors/errors.js';

const wallIso = () => '2026-01-01T00:00:00.000Z';

test('the small log: JSON lines with component and error; below the level nothing', (t) => {
  const lines: string[] = [];
  const log = stderrLog({ component: 'guard', wallIso, env: {}, out: (line) => lines.push(line) });
  log.debug('not shown');
  log.warn('renew failed', { group: 'g', error: new UnderstudyError('ARBITER_UNREACHABLE', 'no answer') });
  t.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [
      {
        at: wallIso(),
        level: 'warn',
        component: 'guard',
        message: 'renew failed',
        group: 'g',
        error: { message: 'no answer', code: 'ARBITER_UNREACHABLE' },
      },
    ],
  );
});

test('under systemd: the priority stands before the line', (t) => {
  const lines: string[] = [];
  stderrLog({ component: 'guard', wallIso, env: { JOURNAL_STREAM: '8:1' }, out: (line) => lines.push(line) }).warn('slow', { ms: 3 });
  t.deepEqual(lines, ['<4>guard: slow {"ms":3}']);
});

test('the winston log: one line each with component, files bounded in size and number', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-log-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const log = openLog({ directory, name: 'controller', maxBytes: 4000, maxFiles: 2, env: {} });
  const hooks = log.child('hooks');
  for (let i = 0; i < 200; i += 1) {
    hooks.info('hook done', { i, text: 'x'.repeat(50) });
    if (i % 10 === 0) await systemClock.sleep(2); // As a daemon writes: winston rotates between turns.
  }
  hooks.debug('not shown');
  await log.close();
  const files = readdirSync(directory);
  t.true(files.length <= 2, files.join());
  // The last line may have been the one that filled its file: then it lies in the file that was just put aside.
  const lines = files.flatMap((file) => readFileSync(join(directory, file), 'utf8').trim().split('\n'));
  t.true(
    lines
      .filter((line) => line !== '')
      .some((line) => {
        const { level, component, message, i } = JSON.parse(line) as Record<string, unknown>;
        return level === 'info' && component === 'hooks' && message === 'hook done' && i === 199;
      }),
  );
});
