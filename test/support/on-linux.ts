// Tests of what only Linux has. Elsewhere they pass and say aloud that nothing was tried.
import test, { type ExecutionContext } from 'ava';

export const onLinux = (title: string, run: (t: ExecutionContext) => unknown): void =>
  test(title, async (t) => {
    if (process.platform === 'linux') return void (await run(t));
    t.log('skipped: needs Linux');
    return void t.pass();
  });
