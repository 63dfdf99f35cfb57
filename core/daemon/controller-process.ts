#!/usr/bin/env node
// The controller as a process of its own: `node controller-process.js --node a --config FILE …`.
import 'reflect-metadata';
import module from 'node:module';

module.enableCompileCache?.();
const [{ runDaemon }, { startController }] = await Promise.all([import('./process-main.js'), import('./controller.js')]);
await runDaemon('controller', process.argv.slice(2), startController);
