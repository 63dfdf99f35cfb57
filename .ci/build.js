// Build: type-check and emit with tsc, then drop the output of sources that are gone (tsc -b never does), so that no
// stale test or plugin is found in dist.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, globSync, rmSync } from 'node:fs';
import { bundleSdks } from './bundle.js';

const bin = (name) => new URL(`../node_modules/.bin/${name}`, import.meta.url).pathname;
const tsc = spawnSync(bin('tsc'), ['-b', ...process.argv.slice(2)], { stdio: 'inherit' });
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

for (const js of globSync('dist/{core,plugins,test}/**/*.js')) {
  const source = js.replace(/^dist[\\/]/, '').replace(/\.js$/, '.ts');
  if (!existsSync(source)) for (const file of [js, `${js}.map`, js.replace(/\.js$/, '.d.ts')]) rmSync(file, { force: true });
}
bundleSdks();
// Scripts that run without Node (the leash, emergency-stop) lie beside the code that starts them.
for (const script of globSync('{core,plugins}/**/*.sh')) cpSync(script, `dist/${script}`);
for (const script of globSync('dist/{core,plugins}/**/*.sh')) chmodSync(script, 0o755);
if (existsSync('dist/core/cli/bin.js')) chmodSync('dist/core/cli/bin.js', 0o755);
