// An application that keeps what it is told: each connection sends one stamp in a line and is answered `ok` when the stamp, the
// node and the process stand in the file and the file is synced. Lies in `lab/app/`, where the observer looks for applications.
// Usage: stamp-keeper.js ADDRESS:PORT FILE; the file stands for storage that all hosts of a lab share.
import { fsyncSync, openSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';

const [, , at = '', file = ''] = process.argv;
const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(at) ?? [];
const node = process.env['UNDERSTUDY_NODE'] ?? 'unknown';
const kept = openSync(file, 'a');

createServer((client) => {
  let asked = '';
  client.setEncoding('latin1');
  client.on('error', () => client.destroy());
  client.on('data', (chunk: string) => {
    asked += chunk;
    if (asked.length > 64) return void client.destroy();
    if (!asked.endsWith('\n')) return;
    writeSync(kept, `${asked.trim()} ${node} ${process.pid}\n`);
    fsyncSync(kept);
    client.end('ok\n');
  });
}).listen({ host, port: Number(port), backlog: 511 });

process.on('SIGTERM', () => process.exit(0));
