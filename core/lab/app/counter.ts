// The lab's application: counts what it answers, and says on which node. HTTP and UDP on one port. Not part of the engine:
// it stands for the service that is kept running. Usage: counter.js ADDRESS:PORT, node from $UNDERSTUDY_NODE.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { isIPv6 } from 'node:net';

const [, host = '127.0.0.1', portText = '8080'] = /^(.*):(\d+)$/.exec(process.argv[2] ?? '') ?? [];
const port = Number(portText);
const node = process.env['UNDERSTUDY_NODE'] ?? 'unknown';
let count = 0;

const server = createServer((_request, response) => {
  count += 1;
  response.writeHead(200, { 'content-type': 'application/json', 'x-node': node });
  response.end(`${JSON.stringify({ node, count, pid: process.pid })}\n`);
});
server.listen({ host, port, backlog: 511 });

/** Answers `REQUEST NODE COUNT`. */
const datagrams = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
datagrams.on('message', (data, { address, port: from }) => {
  count += 1;
  datagrams.send(`${data.toString('latin1').slice(0, 64)} ${node} ${count}`, from, address);
});
datagrams.bind(port, host);

process.on('SIGTERM', () => process.exit(0));
