// A process that serves memory over NBD, for suites with third parties: `node nbd-serve.js SOCKET JSON`. The options are those
// of the export, and `psk`: the key of `kim`, hex. Serves `vol`, `other` and the read-only `frozen`. Says `ready`, then its
// memory in MB ten times a second; SIGTERM is a shutdown, after which it says what is under way.
import { systemClock } from 'understudy/plugin';
import { startNbdServer } from '../../plugins/disk-mirror/nbd/server.js';
import { MemoryExport, type MemoryExportOptions } from './memory-export.js';

const [, , path = '', json = '{}'] = process.argv;
const { psk, ...options } = JSON.parse(json) as MemoryExportOptions & { readonly psk?: string };
const key = psk === undefined ? null : Buffer.from(psk, 'hex');
const server = await startNbdServer({
  exports: [
    new MemoryExport({ holes: true, ...options }),
    new MemoryExport({ name: 'other', description: 'another disk' }),
    new MemoryExport({ name: 'frozen', description: 'nothing changes', readOnly: true }),
  ],
  address: { kind: 'unix', path },
  clock: systemClock,
  tell: () => {},
  ...(key === null
    ? {}
    : { tls: { kind: 'psk', required: true, keyOf: (identity: string) => (identity === 'kim' ? key : null) } as const }),
});
console.log('ready');
setInterval(() => console.log(`rss ${Math.round(process.memoryUsage.rss() / 1e6)}`), 100);
process.once('SIGTERM', () => {
  void server.shutDown().then(({ underWay }) => {
    console.log(`ended ${underWay}`);
    process.exit(0);
  });
});
