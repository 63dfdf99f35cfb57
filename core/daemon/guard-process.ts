#!/usr/bin/env node
// The guard as a process of its own: `node guard-process.js --node a --config FILE …`. Loads as little as it can.
import { enterDaemon } from './daemon-entry.js';

await enterDaemon('guard', process.argv.slice(2));
