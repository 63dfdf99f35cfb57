#!/usr/bin/env node
// The controller as a process of its own: `node controller-process.js --node a --config FILE …`.
import { enterDaemon } from './daemon-entry.js';

await enterDaemon('controller', process.argv.slice(2));
