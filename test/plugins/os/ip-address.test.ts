// ip-address on a table of addresses and a fake clock. On real interfaces with real neighbours: test/e2e/ip-address.test.ts.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { agentContract, FakeClock, monitorOnce } from '../../../core/plugin/testkit/index.js';
import { makeActionContext, makeMonitorContext, type MakeContextOptions } from '../../../core/plugin/testkit/contexts.js';
import { TableAddresses } from '../../../core/system/addresses-table.js';
import { ipAddress, ipAddressOptions, type IpAddressOptions } from '../../../plugins/os/definition.js';
import os from '../../../plugins/os/index.js';
import { IpAddress } from '../../../plugins/os/ip-address.js';

/** The table, with neighbours that listen and may answer. */
class Network extends TableAddresses {
  readonly announced: string[] = [];
  answering: string | null = null;
  deaf = false;
  broken = false;

  override async list() {
    if (this.broken) throw new Error('netlink: no buffer space');
    return super.list();
  }

  override async announce(interfaceName?: string, address?: string, count?: number): Promise<void> {
    if (this.deaf) throw new Error('arping is not installed');
    this.announced.push(`${interfaceName} ${address} x${count}`);
  }

  async owner(): Promise<string | null> {
    return this.answering;
  }
}

const world = (given: Record<string, unknown> = {}) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-ip-'));
  const file = join(directory, 'addresses');
  const network = new Network(file);
  const clock = new FakeClock();
  const options = ipAddressOptions.parse({ address: '10.0.0.5', interface: 'eth0', prefix: 24, ...given });
  const more = (extra: Partial<MakeContextOptions<IpAddressOptions>>) => ({ options, ...extra });
  return {
    network,
    clock,
    options,
    agent: new IpAddress(network, clock),
    acting: (extra: Partial<MakeContextOptions<IpAddressOptions>> = {}) => makeActionContext(more(extra)),
    monitoring: (extra: Partial<MakeContextOptions<IpAddressOptions>> = {}) => makeMonitorContext(more(extra)),
    table: () => {
      try {
        return readFileSync(file, 'utf8');
      } catch {
        return '';
      }
    },
    end: () => rmSync(directory, { recursive: true, force: true }),
  };
};
const made = (t: ExecutionContext, given: Record<string, unknown> = {}) => {
  const one = world(given);
  t.teardown(one.end);
  return one;
};

agentContract(test, 'ip-address', () => {
  const { network, agent, options, table, end } = world();
  return {
    definition: { operations: 'on-off', ...(ipAddress.hardStop === undefined ? {} : { hardStop: ipAddress.hardStop }) },
    agent,
    options,
    world: table,
    end,
    breakDependency: () => void (network.broken = true),
  };
});

test('plugin: its agents, by the public door; never fenced by an epoch', async (t) => {
  t.deepEqual([os.name, Object.keys(os.agents)], ['os', ['ip-address', 'filesystem']]);
  t.is((await (os.agents['ip-address'].agent as () => Promise<{ name: string }>)()).name, 'IpAddress');
  t.is(ipAddress.fencedByEpoch, false);
});

const wrong: [title: string, given: Record<string, unknown>, message: RegExp][] = [
  ['CIDR in address', { address: '10.0.0.5/24' }, /prefix length goes into prefix/],
  ['IPv4 prefix beyond 32', { prefix: 64 }, /ends at 32, not 64/],
  ['no interface', { interface: undefined }, /interface/],
  ['unknown key', { nic: 'eth0' }, /nic/],
  ['too frequent announcements', { announceEvery: '10ms' }, /out of range/],
];
for (const [title, given, message] of wrong) {
  test(`options: ${title}: refused`, (t) => {
    t.regex(JSON.stringify(ipAddressOptions.safeParse({ address: '10.0.0.5', interface: 'eth0', ...given }).error?.issues), message);
  });
}

test('prefix: a host by default', (t) => {
  t.is(ipAddressOptions.parse({ address: '10.0.0.5', interface: 'eth0' }).prefix, 32);
  t.is(ipAddressOptions.parse({ address: 'fd00::5', interface: 'eth0' }).prefix, 128);
});

test('hard stop: the line of this host', (t) => {
  const { options, network } = made(t);
  const where = { options, group: 'g', resource: 'r', cgroup: null, runDir: '/run' };
  t.deepEqual(ipAddress.hardStop?.({ ...where, addressLine: (name, address) => network.hardStopLine(name, address) }), [
    `table ${network.hardStopLine('', '10.0.0.5').split(' ')[1]} 10.0.0.5`,
  ]);
  t.deepEqual(ipAddress.hardStop?.({ ...where, addressLine: (name, address, length) => `addr ${name} ${address}/${length}` }), [
    'addr eth0 10.0.0.5/24',
  ]);
});

test('start: up, one announcement before it ends, the others after it', async (t) => {
  const { agent, acting, network, table } = made(t);
  t.deepEqual(await agent.start(acting()), {});
  t.is(table(), 'eth0 10.0.0.5 24\n');
  t.deepEqual(network.announced, ['eth0 10.0.0.5 x1', 'eth0 10.0.0.5 x2']);
});

test('start: another host answers for the address: refused, and not put up', async (t) => {
  const { agent, acting, network, table } = made(t);
  network.answering = '02:00:00:00:00:07';
  await t.throwsAsync(agent.start(acting()), {
    message: '10.0.0.5 was not put on eth0: the host with hardware address 02:00:00:00:00:07 answers for it',
  });
  t.is(table(), '');
  const unasked = made(t, { duplicateWait: '0ms' });
  unasked.network.answering = '02:00:00:00:00:07';
  await t.notThrowsAsync(unasked.agent.start(unasked.acting()));
});

test('start: without a lease nothing is put up', async (t) => {
  const { agent, acting, table } = made(t);
  await t.throwsAsync(agent.start(acting({ lease: { held: false, remainingMs: 0 } })), { code: 'REFUSED' });
  t.is(table(), '');
});

test('start: neighbours cannot be told: online, degraded with the reason', async (t) => {
  const { agent, acting, monitoring, network } = made(t);
  network.deaf = true;
  t.deepEqual(await agent.start(acting()), { degraded: 'the neighbours were not told: arping is not installed' });
  t.is((await monitorOnce(agent, monitoring())).state, 'online');
});

test('monitor: exact address, right interface, right prefix', async (t) => {
  const { agent, monitoring, network } = made(t);
  await network.add('eth0', '10.0.0.50', 24);
  t.deepEqual(await agent.monitor(monitoring()), { state: 'offline', reason: '10.0.0.5 is on no interface that is up' });
  await network.add('eth1', '10.0.0.5', 24);
  t.deepEqual(await agent.monitor(monitoring()), { state: 'faulted', reason: '10.0.0.5 is on eth1 instead of eth0' });
  await network.add('eth0', '10.0.0.5', 32);
  t.deepEqual(await agent.monitor(monitoring()), { state: 'online', degraded: '10.0.0.5 has the prefix 32 instead of 24' });
});

test('stop: unconditional, whichever interface it is on', async (t) => {
  const { agent, acting, network, table } = made(t);
  await network.add('eth1', '10.0.0.5', 32);
  await network.add('eth0', '10.0.0.6', 24);
  await agent.stop(acting({ lease: { held: false, remainingMs: 0 } }));
  t.is(table(), 'eth0 10.0.0.6 24\n');
});

test('reassert: back at once and announced; nothing happens when it is there, or without the lease', async (t) => {
  const { agent, acting, network, table } = made(t);
  t.deepEqual(await agent.reassert(acting()), { detail: { restored: '10.0.0.5' } });
  t.is(table(), 'eth0 10.0.0.5 24\n');
  t.deepEqual(await agent.reassert(acting()), {});
  t.deepEqual(network.announced, ['eth0 10.0.0.5 x1']);
  await network.remove('10.0.0.5');
  await t.throwsAsync(agent.reassert(acting({ lease: { held: false, remainingMs: 0 } })), { code: 'REFUSED' });
  t.is(table(), '');
});

test('repeated announcements: while it is here, also after a restart of the controller, never after stop', async (t) => {
  const { agent, acting, monitoring, network, clock } = made(t, { announceCount: 1, announceEvery: '10s' });
  const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const pass = async (ms: number) => {
    clock.advance(ms);
    await settle();
    return network.announced.splice(0).length;
  };
  await agent.start(acting());
  t.is(await pass(1), 1);
  t.is(await pass(10_000), 1);
  await agent.stop(acting());
  t.is(await pass(60_000), 0);

  await network.add('eth0', '10.0.0.5', 24);
  const end = new IpAddress(network, clock).watch(monitoring(), () => undefined);
  t.teardown(end);
  t.is(await pass(10_000), 1);
  await network.remove('10.0.0.5');
  t.is(await pass(10_000), 0, 'gone: it ends by itself');
  await network.add('eth0', '10.0.0.5', 24);
  t.is(await pass(60_000), 0);
});

test('watch: a deletion by another hand is told', async (t) => {
  const { agent, acting, monitoring, network } = made(t);
  await agent.start(acting());
  const keep = setTimeout(() => {}, 10_000);
  t.teardown(() => clearTimeout(keep));
  await new Promise<void>((resolve) => {
    t.teardown(agent.watch(monitoring(), resolve));
    void network.remove('10.0.0.5');
  });
  t.is((await monitorOnce(agent, monitoring())).state, 'offline');
});

test('plan: asks, adds, announces; stop removes', async (t) => {
  const { agent, monitoring } = made(t);
  const words = async (op: 'start' | 'stop') => (await agent.plan(op, monitoring())).map(({ what }) => what.split(' ')[0]);
  t.deepEqual(await words('start'), ['ask', 'add', 'announce']);
  t.deepEqual(await words('stop'), ['remove']);
});
