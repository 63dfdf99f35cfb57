// Bundles every plugins/*/*-sdk.ts in place: such a file re-exports what a plugin uses of a large client library, and the
// whole library would cost several times the memory and start time. `import('./x-sdk.js')` goes on working, types included.
// Done again only when the source, the lock file or this script is newer than the bundle.
import { buildSync } from 'esbuild';
import { existsSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';

const MARK = '// Bundled by .ci/bundle.js.\n';
const made = (file) => statSync(file).mtimeMs;

export const bundleSdks = () => {
  for (const source of globSync('plugins/*/*-sdk.ts')) {
    const entry = `dist/${source.replace(/\.ts$/, '.js')}`;
    const directory = entry.replace(/\.js$/, '');
    const fresh =
      existsSync(`${directory}/index.mjs`) &&
      readFileSync(entry, 'utf8').startsWith(MARK) &&
      [source, 'package-lock.json', '.ci/bundle.js'].every((input) => made(input) < made(`${directory}/index.mjs`));
    if (fresh) continue;
    rmSync(directory, { recursive: true, force: true });
    buildSync({
      entryPoints: { index: source },
      outdir: directory,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      splitting: true, // What is loaded on demand inside (SSO, STS) stays on demand.
      platform: 'node',
      format: 'esm',
      target: 'node24',
      mainFields: ['module', 'main'], // The CommonJS builds cannot be shaken: no gain.
      minifySyntax: true,
      minifyWhitespace: true,
      legalComments: 'eof',
      // What is CommonJS inside asks for Node's modules with `require`.
      banner: { js: `import { createRequire as requireFrom } from 'node:module';const require = requireFrom(import.meta.url);` },
      logLevel: 'warning',
    });
    writeFileSync(entry, `${MARK}export * from './${directory.split('/').at(-1)}/index.mjs';\n`);
    rmSync(`${entry}.map`, { force: true });
  }
};
