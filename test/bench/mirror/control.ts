// Speaks to a mirror process of the bench: `node control.js DIR full` (or `checksum`) orders a resync, `node control.js DIR equal` waits
// until the peer has everything. All print when the order was given (the process's clock), how long a resync was seen to run, and its bytes.
import { join } from 'node:path';
import { systemClock } from 'understudy/plugin';
import { systemLocalSockets } from '../../../core/system/framed-socket.js';
import { order, viewVolume } from '../../../plugins/disk-mirror/process/control-client.js';
import { controlSocket, resourceRunDir } from '../../../plugins/disk-mirror/process/places.js';

const LIMIT_MS = 300_000;
const LOOK_MS = 5;

const [dir, what] = process.argv.slice(2);
if (dir === undefined || (what !== 'full' && what !== 'checksum' && what !== 'equal'))
  throw new RangeError('control.js DIR full|checksum|equal');
const path = controlSocket(resourceRunDir(join(dir, 'run'), 'bench', 'data'));
const client = { sockets: systemLocalSockets, clock: systemClock, path, volume: 'bench/data' };

const beganMs = systemClock.nowMs();
if (what !== 'equal') await order(client, { do: 'resync', kind: what }, 10_000);
let [firstMs, lastMs, ofBytes] = [0, 0, 0];
for (;;) {
  const { connection, peerDisk, resync, suspended } = await viewVolume(client, 10_000);
  const nowMs = systemClock.nowMs();
  if (nowMs - beganMs > LIMIT_MS) throw new Error(`not equal after ${LIMIT_MS} ms: ${connection}, the peer is ${peerDisk}`);
  if (resync !== null) {
    firstMs ||= nowMs;
    lastMs = nowMs;
    ofBytes = Math.max(ofBytes, resync.ofBytes);
  } else if (connection === 'connected' && peerDisk === 'UpToDate' && suspended === null && (what === 'equal' || lastMs > 0)) break;
  await systemClock.sleep(LOOK_MS);
}
console.log(`${Math.round(beganMs)} ${Math.round(lastMs - firstMs)} ${ofBytes}`);
