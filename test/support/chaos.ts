// Bad networks under a lab of namespaces: the relay (chaos-relay.py) between a lab's hosts, started and ended. Invariant: it
// ends by itself after `forS`, so that a failed drill leaves no rules behind for longer.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { farEnd, INTERFACE, namespaceOf } from '../../core/lab/netns-names.js';
import { LAB_NETWORKS, type LabTopology } from '../../core/lab/topology.js';

/** Shares of all frames, and the longest delay; every frame draws its own. */
export interface Chaos {
  readonly lose?: number;
  readonly twice?: number;
  readonly delayMs?: number;
  readonly alter?: number;
  readonly seed: number;
  readonly forS: number;
}

export interface ChaosCounts {
  readonly frames: number;
  readonly lost: number;
  readonly twice: number;
  readonly altered: number;
  readonly overflow: number;
}

const RELAY = fileURLToPath(new URL('../../../test/support/chaos-relay.py', import.meta.url));
const READY_MS = 20_000;

/** Every network of every host of the lab becomes bad; resolves when it is. `end` resolves with what was done to how much. */
export const startChaos = async ({ id, hosts }: LabTopology, chaos: Chaos): Promise<{ end(): Promise<ChaosCounts> }> => {
  const cables = hosts.flatMap(({ node, index }) =>
    LAB_NETWORKS.map((network) => {
      const far = farEnd(network, index);
      return [namespaceOf(id, node), INTERFACE[network], namespaceOf(id, far.place), far.name];
    }),
  );
  const relay = spawn('python3', [RELAY, JSON.stringify({ cables, ...chaos })], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const exited = new Promise<void>((resolve) => relay.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the relay is not ready: ${output}`)), READY_MS);
    void exited.then(() => reject(new Error(`the relay ended: ${output}`)));
    relay.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      if (!output.includes('"ready"')) return;
      clearTimeout(late);
      resolve();
    });
  });
  return {
    end: async () => {
      relay.kill('SIGTERM');
      await exited;
      return JSON.parse(output.trim().split('\n').at(-1) ?? '') as ChaosCounts;
    },
  };
};
