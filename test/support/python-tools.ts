// Third-party tools written in Python, at fixed versions: from $PATH where they are, else, in CI only, from a virtual
// environment made beside node_modules. Elsewhere a test that needs one says that it was skipped.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VENV = fileURLToPath(new URL('../../../node_modules/.cache/understudy-python', import.meta.url));
const INSTALL_MS = 300_000;

/** The program's path, or null where it is missing and may not be installed. In CI it throws rather than return null. */
export const pythonTool = (program: string, requirement: string): string | null => {
  const known = [...(process.env['PATH'] ?? '').split(delimiter), join(VENV, 'bin')]
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path));
  if (known !== undefined) return known;
  if (process.env['CI'] === undefined) return null;
  mkdirSync(VENV, { recursive: true });
  const options = { timeout: INSTALL_MS, stdio: ['ignore', 'inherit', 'inherit'] as ['ignore', 'inherit', 'inherit'] };
  if (!existsSync(join(VENV, 'bin', 'pip'))) execFileSync('python3', ['-m', 'venv', VENV], options);
  execFileSync(join(VENV, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', requirement], options);
  return join(VENV, 'bin', program);
};
