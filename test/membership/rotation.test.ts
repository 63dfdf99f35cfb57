// The cluster key is changed while both nodes serve: three steps, in each the nodes one after the other, over real frames.
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ClusterConfig } from '../../core/config/cluster-config.js';
import type { Heartbeats } from '../../core/membership/contract.js';
import { createHeartbeats } from '../../core/membership/heartbeats.js';
import { type ClusterKeys, generateKey, loadKeys, rotateKeyFile } from '../../core/system/key-file.js';
import { systemRandom } from '../../core/system/random.js';
import { FakeHost, FakeNetwork } from '../support/fake-hosts.js';

const config = {
  cluster: 'orders',
  file: 'understudy.config.yaml',
  nodes: ['a', 'b'].map((id, index) => ({
    id,
    zone: null,
    networks: { service: null, mirror: [], heartbeat: [`10.0.1.${index + 1}`, `10.0.2.${index + 1}`] },
  })),
  timing: { heartbeatMs: 40, suspectAfterMs: 220, takeoverWaitMs: 3000 },
  ports: { heartbeat: 4470 },
} as unknown as ClusterConfig;

const directory = mkdtempSync(join(tmpdir(), 'membership-rotation-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

/** A guard's heartbeats, begun anew with other keys as a restarted daemon begins. */
class Node {
  readonly suspicions: string[] = [];
  heartbeats: Heartbeats | null = null;
  constructor(
    readonly id: string,
    readonly host: FakeHost,
  ) {}

  async restart(keys: ClusterKeys): Promise<void> {
    await this.heartbeats?.stop();
    this.heartbeats = createHeartbeats({
      config,
      node: this.id,
      bootId: `boot-${this.id}`,
      keys,
      clock: this.host.clock,
      random: systemRandom,
      sockets: this.host,
    });
    this.heartbeats.onChange((change) => {
      if (change.kind === 'peer' && change.state !== 'member') this.suspicions.push(`${change.state}: ${change.because}`);
    });
    this.heartbeats.describe(() => ({ cfgHash: 'cfg', groups: [] }));
    await this.heartbeats.start();
  }
}

test('a rotation in three steps: nobody is ever silent, and the old key is worth nothing after', async (t) => {
  const file = join(directory, 'cluster.key');
  writeFileSync(file, generateKey(systemRandom), { mode: 0o400 });
  const old = loadKeys(file);
  const network = new FakeNetwork();
  const nodes = ['a', 'b'].map((id) => new Node(id, new FakeHost(network)));
  for (const node of nodes) await node.restart(old);
  network.clock.advance(2000);
  const recorded = network.sent.filter(({ to }) => to === '10.0.1.1').at(-1)!;
  for (const step of ['add', 'use', 'drop'] as const) {
    const keys = rotateKeyFile(file, step, systemRandom);
    t.deepEqual(loadKeys(file), keys);
    t.is(statSync(file).mode & 0o777, 0o400);
    for (const node of nodes) {
      await node.restart(keys);
      // Between two restarts the nodes hold different files: the very thing that must not be heard.
      network.clock.advance(1000);
      t.deepEqual(
        nodes.map(({ heartbeats, suspicions }) => [heartbeats!.peers()[0]!.state, suspicions]),
        [
          ['member', []],
          ['member', []],
        ],
        `${step} on ${node.id}`,
      );
    }
  }
  t.not(loadKeys(file).current.id, old.current.id);
  network.inject(recorded);
  network.clock.advance(10);
  t.is(nodes[0]!.heartbeats!.dropped()['unknown-key'], 1, 'signed with the old key: dropped, counted');
});

test('a rotation that leaves a step out: the nodes fall silent to each other, and the drops say why', async (t) => {
  const [one, other] = [join(directory, 'one.key'), join(directory, 'other.key')];
  for (const file of [one, other]) writeFileSync(file, generateKey(systemRandom), { mode: 0o400 });
  const network = new FakeNetwork();
  const [a, b] = ['a', 'b'].map((id) => new Node(id, new FakeHost(network))) as [Node, Node];
  await a.restart(loadKeys(one));
  await b.restart(loadKeys(one));
  network.clock.advance(1000);
  await b.restart(loadKeys(other));
  network.clock.advance(1000);
  t.regex(a.suspicions.join(), /suspect/);
  t.true((a.heartbeats!.dropped()['unknown-key'] ?? 0) > 10);
});

test('steps out of turn are refused, and the file stays as it was', (t) => {
  const file = join(directory, 'turn.key');
  writeFileSync(file, generateKey(systemRandom), { mode: 0o400 });
  const before = readFileSync(file, 'utf8');
  for (const step of ['use', 'drop'] as const)
    t.throws(() => rotateKeyFile(file, step, systemRandom), { code: 'REFUSED', message: /one key/ });
  t.is(readFileSync(file, 'utf8'), before);
  rotateKeyFile(file, 'add', systemRandom);
  t.throws(() => rotateKeyFile(file, 'add', systemRandom), { code: 'REFUSED', message: /two keys already/ });
  chmodSync(file, 0o620);
  t.throws(() => rotateKeyFile(file, 'use', systemRandom), { code: 'KEY_UNUSABLE', message: /mode 620/ });
});

test('a link to a key that others can read or write: KEY_UNUSABLE', (t) => {
  const [file, link] = [join(directory, 'open.key'), join(directory, 'link.key')];
  writeFileSync(file, generateKey(systemRandom));
  symlinkSync(file, link);
  for (const mode of [0o640, 0o604, 0o620, 0o602]) {
    chmodSync(file, mode);
    t.throws(() => loadKeys(link), { code: 'KEY_UNUSABLE', message: /lets others/ });
  }
});
