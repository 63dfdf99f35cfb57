// etcd in the lab: three members (or one, `--arbiter etcd:1`) outside the hosts, on the lab's own address, elected quickly enough
// for `timing: lan`. Members are killed, paused and made slow one by one; `leader` names whichever leads.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type LabService, type LabServiceContext, type LabServiceDefinition, UnderstudyError } from 'understudy/plugin';
import { LocalCluster } from './local-cluster.js';
import { SlowWay } from './slow-way.js';

const FIRST_PORT = 2379;
const BEHIND = 1000;
const [HEARTBEAT_MS, ELECTION_MS] = [25, 250];
const WORDS = 'say kill, pause, resume or start and a member (leader, 0, 1, 2, all), or slow and milliseconds (slow 50ms)';

export const etcdLabService: LabServiceDefinition = {
  summary: `etcd keeps the lab’s leases; fault words: ${WORDS}`,
  arbiter: true,
  async start({ directory, listenAddress, variant = '3' }: LabServiceContext): Promise<LabService> {
    if (variant !== '1' && variant !== '3') throw new UnderstudyError('USAGE', `etcd of the lab has 1 or 3 members, not ${variant}`);
    const own = join(directory, 'etcd');
    rmSync(own, { recursive: true, force: true }); // A lab begins without leases.
    const fronts = Array.from({ length: Number(variant) }, (_, n) => FIRST_PORT + 10 * n);
    const cluster = new LocalCluster({
      members: fronts.map((port) => ({ address: listenAddress, clientPort: port + BEHIND, peerPort: port + BEHIND + 1 })),
      directory: own,
      heartbeatMs: HEARTBEAT_MS,
      electionMs: ELECTION_MS,
    });
    const ways = fronts.map((port) => new SlowWay(listenAddress, port + BEHIND));
    await cluster.start();
    await Promise.all(ways.map((way, n) => way.listen(listenAddress, fronts[n]!)));
    const meant = async (word: string | undefined): Promise<readonly number[]> => {
      if (word === 'all') return fronts.map((_, n) => n);
      const member = word === 'leader' ? await cluster.leader() : Number(word);
      if (member === null) throw new UnderstudyError('REFUSED', 'etcd of the lab has no leader now');
      if (!Number.isInteger(member) || fronts[member] === undefined) throw new UnderstudyError('USAGE', WORDS);
      return [member];
    };
    return {
      config: { arbiter: { use: 'etcd', endpoints: fronts.map((port) => `${listenAddress}:${port}`) } },
      async fault([verb, word]) {
        if (verb === 'slow') {
          const [, ms] = /^(\d{1,5})ms$/.exec(word ?? '') ?? [];
          if (ms === undefined) throw new UnderstudyError('USAGE', WORDS);
          for (const way of ways) way.delayMs = Number(ms);
          return `etcd answers ${2 * Number(ms)} ms later`;
        }
        const signal = ({ kill: 'SIGKILL', pause: 'SIGSTOP', resume: 'SIGCONT' } as const)[verb as 'kill'] ?? null;
        if (signal === null && verb !== 'start') throw new UnderstudyError('USAGE', WORDS);
        const members = await meant(word);
        await Promise.all(members.map((member) => (signal === null ? cluster.startMember(member) : cluster.signal(member, signal))));
        return `${verb} of etcd member ${members.join(', ')} done`;
      },
      state: () => ({ members: fronts.map((_, n) => cluster.isUp(n)), delayMs: ways[0]?.delayMs ?? 0 }),
      stop: async () => {
        await Promise.all(ways.map((way) => way.close()));
        await cluster.stop();
      },
    };
  },
};
