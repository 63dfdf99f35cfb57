// Lint: installs its tools beside this file when they are missing, then types and laws (oxlint) and formatting (biome).
// The laws of the house that no linter knows are tests: test/house.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const bin = (name) => join(here, 'node_modules', '.bin', name);
const run = (file, args, env = {}) => {
  const done = spawnSync(file, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  if (done.error) throw done.error;
  return done.status ?? 1;
};

if (!existsSync(bin('oxlint')) && run('npm', ['--prefix', here, 'install', '--silent', '--no-audit', '--no-fund']) !== 0) process.exit(1);
const fix = process.argv.includes('--fix');
const failed = [
  run(bin('oxlint'), ['--type-aware', '--config', '.oxlintrc.json', 'core', 'plugins', 'test'], { OXLINT_TSGOLINT_PATH: bin('tsgolint') }),
  run(bin('biome'), ['format', ...(fix ? ['--write'] : []), '--reporter=summary']),
].some((status) => status !== 0);
process.exit(failed ? 1 : 0);
