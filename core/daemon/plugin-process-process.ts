#!/usr/bin/env node
// A plugin's long-lived process as a process of its own: `node plugin-process-process.js PLUGIN/NAME GROUP.RESOURCE --node a …`.
import { enterDaemon } from './daemon-entry.js';

await enterDaemon('process', process.argv.slice(2));
