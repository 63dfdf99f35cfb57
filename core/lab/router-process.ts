// The loopback lab's router: listens on a lab address for every floating address and forwards TCP and UDP to the host that the
// route names. Losses are silent: a connection that leads nowhere is held until its client gives up, and a connection to a
// host that lost its power is never closed towards the client. Everything it holds is bounded.
import { createSocket, type RemoteInfo, type Socket as Datagrams } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { NodeId } from '../model/ids.js';
import { reasonOf } from '../errors/errors.js';
import { systemClock } from '../system/clock.js';
import { forwardTo, type ForwardingHost } from './forwarding.js';

export interface RouterPlan {
  readonly hosts: readonly { readonly node: NodeId; readonly address: string; readonly table: string }[];
  readonly floating: readonly { readonly address: string; readonly listen: string }[];
  readonly ports: readonly number[];
}

export type ToRouter =
  | { readonly t: 'route'; readonly id: number; readonly address: string; readonly node: NodeId | null }
  | { readonly t: 'power'; readonly id: number; readonly node: NodeId; readonly on: boolean };
export type FromRouter =
  | { readonly t: 'ready' }
  | { readonly t: 'done'; readonly id: number }
  | { readonly t: 'failed'; readonly why: string };

const MAX_CONNECTIONS = 4000;
const LOST_AFTER_MS = 10_000;
const UDP_IDLE_MS = 10_000;

const plan = JSON.parse(process.argv[2] ?? '{}') as RouterPlan;
const routes = new Map<string, NodeId | null>();
const powered = new Set<NodeId>();
const tell = (message: FromRouter): void => {
  if (process.connected) process.send?.(message);
};

const tableOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // No table: a host without addresses.
    return '';
  }
};
const target = (floating: string): ForwardingHost | null =>
  forwardTo(
    floating,
    routes.get(floating) ?? null,
    plan.hosts.map(({ node, address, table }) => ({ node, address, table: tableOf(table), power: powered.has(node) })),
  );

interface Flow {
  readonly floating: string;
  readonly node: NodeId | null;
  readonly client: Socket;
  readonly upstream: Socket | null;
}
const flows = new Set<Flow>();

const drop = (flow: Flow): void => {
  flows.delete(flow);
  flow.client.destroy();
  flow.upstream?.destroy();
};

/** Nothing goes either way any more, and neither side hears of it until the client gives up. */
const silence = (flow: Flow): void => {
  flow.client.unpipe();
  flow.upstream?.unpipe();
  flow.upstream?.removeAllListeners('close');
  flow.upstream?.destroy();
  systemClock.after(LOST_AFTER_MS, () => drop(flow), { idle: true });
};

const accept =
  (floating: string, port: number) =>
  (client: Socket): void => {
    client.on('error', () => client.destroy());
    const host = target(floating);
    const upstream = host === null ? null : connect({ host: host.address, port, allowHalfOpen: true });
    const flow: Flow = { floating, node: host?.node ?? null, client, upstream };
    flows.add(flow);
    client.on('close', () => drop(flow));
    if (upstream === null) return silence(flow);
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    // Refused by the host: the client hears it too. Without power nothing is heard.
    upstream.on('error', () => (powered.has(flow.node ?? '') ? client.resetAndDestroy() : silence(flow)));
    upstream.on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
  };

/** Datagrams: one socket towards the host for each client, so that the answer finds its way back. */
const datagrams = (floating: string, port: number, listen: string): Promise<void> => {
  const front = createSocket('udp4');
  const back = new Map<string, { socket: Datagrams; usedMs: number }>();
  const socketFor = (from: RemoteInfo): Datagrams | null => {
    const key = `${from.address}:${from.port}`;
    const known = back.get(key);
    if (known) {
      known.usedMs = systemClock.nowMs();
      return known.socket;
    }
    if (back.size >= MAX_CONNECTIONS) return null;
    const socket = createSocket('udp4');
    socket.on('error', () => undefined);
    // Only the host that has the address now may answer for it.
    socket.on('message', (data, host) => {
      if (target(floating)?.address === host.address) front.send(data, from.port, from.address, () => undefined);
    });
    back.set(key, { socket, usedMs: systemClock.nowMs() });
    return socket;
  };
  front.on('message', (data, from) => {
    const host = target(floating);
    if (host !== null) socketFor(from)?.send(data, port, host.address, () => undefined);
  });
  systemClock.every(UDP_IDLE_MS, () => {
    for (const [key, { socket, usedMs }] of back)
      if (systemClock.nowMs() - usedMs > UDP_IDLE_MS) {
        back.delete(key);
        socket.close();
      }
  });
  return new Promise((resolve, reject) => {
    front.once('error', reject);
    front.bind(port, listen, () => {
      // Refusals of dead hosts come back as errors of later sends.
      front.removeListener('error', reject).on('error', () => undefined);
      resolve();
    });
  });
};

const stream = (floating: string, port: number, listen: string): Promise<void> => {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, accept(floating, port));
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: listen, backlog: 511 }, resolve);
  });
};

const apply = (message: ToRouter): void => {
  if (message.t === 'route') {
    routes.set(message.address, message.node);
    // What belonged to the old host is unknown to the new one, which would answer with a reset; to nowhere it just ends.
    for (const flow of flows) {
      if (flow.floating !== message.address || flow.node === null || flow.node === message.node) continue;
      if (message.node === null || !powered.has(message.node)) silence(flow);
      else flow.client.resetAndDestroy();
    }
  } else if (message.on) powered.add(message.node);
  else {
    powered.delete(message.node);
    for (const flow of flows) if (flow.node === message.node) silence(flow);
  }
  tell({ t: 'done', id: message.id });
};

process.on('message', (message: ToRouter) => apply(message));
process.on('disconnect', () => process.exit(0));
try {
  for (const { address, listen } of plan.floating)
    for (const port of plan.ports) {
      await stream(address, port, listen);
      await datagrams(address, port, listen);
    }
  tell({ t: 'ready' });
} catch (thrown) {
  tell({ t: 'failed', why: reasonOf(thrown) });
}
