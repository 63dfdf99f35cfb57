// A process that serves memory over NBD, for suites with third parties: `node nbd-serve.js SOCKET|HOST:PORT JSON`. The options
// are those of the export, `psk`: the key of `kim`, hex, or `certificate`: files of a key and a certificate. Serves `vol`, `other` and the read-only `frozen`. Says `ready`, then its
// memory in MB ten times a second; SIGTERM is a shutdown, after which it says what is under way.
import { readFileSync } from 'node:fs';
import { systemClock } from 'understudy/plugin';
import { startNbdServer } from '../../plugins/disk-mirror/nbd/server.js';
import type { NbdTls } from '../../plugins/disk-mirror/nbd/tls.js';
import { MemoryExport, type MemoryExportOptions } from './memory-export.js';

const [, , path = '', json = '{}'] = process.argv;
interface Options extends MemoryExportOptions {
  readonly psk?: string;
  readonly certificate?: { readonly key: string; readonly certificate: string };
}

const { psk, certificate, ...options } = JSON.parse(json) as Options;
const tlsOf = (): NbdTls | null => {
  if (certificate !== undefined)
    return { kind: 'certificate', required: true, key: readFileSync(certificate.key), certificate: readFileSync(certificate.certificate) };
  if (psk === undefined) return null;
  const key = Buffer.from(psk, 'hex');
  return { kind: 'psk', required: true, keyOf: (identity) => (identity === 'kim' ? key : null) };
};
const tls = tlsOf();
const tcp = /^([\d.]+):(\d+)$/.exec(path);
const server = await startNbdServer({
  exports: [
    new MemoryExport({ holes: true, ...options }),
    new MemoryExport({ name: 'other', description: 'another disk' }),
    new MemoryExport({ name: 'frozen', description: 'nothing changes', readOnly: true }),
  ],
  address: tcp === null ? { kind: 'unix', path } : { kind: 'tcp', host: tcp[1] ?? '', port: Number(tcp[2]) },
  clock: systemClock,
  tell: () => {},
  ...(tls === null ? {} : { tls }),
});
console.log(`at ${server.address}`);
console.log('ready');
setInterval(() => console.log(`rss ${Math.round(process.memoryUsage.rss() / 1e6)}`), 100);
process.once('SIGTERM', () => {
  void server.shutDown().then(({ underWay }) => {
    console.log(`ended ${underWay}`);
    process.exit(0);
  });
});
