// One thread of a swarm: runs the seeds it is given, one after the other, and tells what came of each.
import { parentPort, workerData } from 'node:worker_threads';
import { runSeed, type SwarmShare } from './swarm.js';

const share = workerData as SwarmShare;
for (let seed = share.from; seed < share.to; seed += share.step) parentPort?.postMessage(await runSeed(seed, share.minutes, share.worlds));
parentPort?.postMessage('done');
