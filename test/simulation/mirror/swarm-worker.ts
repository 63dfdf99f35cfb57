// One thread of a swarm of mirrors: runs the seeds it is given and tells what came of each.
import { parentPort, workerData } from 'node:worker_threads';
import { type MirrorShare, runMirrorSeed } from './swarm.js';

const { seeds, ...draw } = workerData as MirrorShare;
for (const seed of seeds) parentPort?.postMessage(await runMirrorSeed({ seed, ...draw }));
parentPort?.postMessage('done');
