#!/usr/bin/env node
// The guard as a process of its own: `node guard-process.js --node a --config FILE …`. Loads as little as it can.
import module from 'node:module';

module.enableCompileCache?.();
const [{ runDaemon }, { startGuard }] = await Promise.all([import('./process-main.js'), import('./guard.js')]);
await runDaemon('guard', process.argv.slice(2), startGuard);
