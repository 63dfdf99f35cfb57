// The mirror's rules done wrong in one place (SAFETY c.4), as edits of the built modules: those that random histories of two engines
// must see (test/plugins/disk-mirror/engine/mutants), and those that only a whole cluster can show: rules on which the mirror, the
// guard and the controller rely together. Production code knows nothing of them.
import { MIRROR_MUTANTS, type MirrorMutant } from '../../../plugins/disk-mirror/engine/mutants/catalogue.js';

export type ClusterMutant = Omit<MirrorMutant, 'seed'>;

const ENGINE = 'plugins/disk-mirror/engine';

const OF_THE_CLUSTER: readonly ClusterMutant[] = [
  {
    name: 'answers-when-the-page-has-run-out',
    rule: 'W2, a.11',
    edits: [{ module: `${ENGINE}/answers.js`, find: "if (lease.state === 'suspended')", put: 'if (false)' }],
  },
  {
    name: 'answers-under-a-lease-that-is-over',
    rule: 'W2, a.11',
    edits: [
      { module: `${ENGINE}/answers.js`, find: "if (lease.state === 'over' || lease.epoch !== core.epoch)", put: 'if (false)' },
      {
        module: `${ENGINE}/answers.js`,
        find: "if (lease.state === 'over' || (lease.state === 'held' && lease.epoch !== epoch))",
        put: 'if (false)',
      },
    ],
  },
  {
    name: 'in-sync-without-the-boot',
    rule: 'a.7b, W6',
    edits: [{ module: 'core/ownership/in-sync.js', find: 'if (own.bootId === policy.bootId || neverHeld(record))', put: 'if (true)' }],
  },
  {
    name: 'takeover-by-who-is-not-in-sync',
    rule: '0.5, I-7',
    edits: [
      {
        module: 'core/ownership/in-sync.js',
        find: 'if (own === undefined)\n        return `the copy of ${policy.self} is not in sync by the lease record (in sync: ${those})`;',
        put: 'if (own === undefined)\n        return null;',
      },
    ],
  },
  {
    name: 'single-superblock-copy',
    rule: 'b.1, row 18',
    edits: [
      { module: 'plugins/disk-mirror/metadata/superblock-writer.js', find: 'SUPERBLOCK_AT[(next.seq % 2)]', put: 'SUPERBLOCK_AT[0]' },
    ],
  },
  {
    name: 'log-answered-before-it-is-durable',
    rule: 'W1, I-D3',
    edits: [
      {
        module: 'plugins/disk-mirror/metadata/store.js',
        find: 'log.commit(changes, end) : end(error)',
        put: '(log.commit(changes, () => {}), end(null)) : end(error)',
      },
    ],
  },
  {
    name: 'a-frozen-primary-is-not-active',
    rule: 'liveness',
    edits: [{ module: 'core/planner/failures.js', find: "(status === 'online' || status === 'faulted')", put: "status === 'online'" }],
  },
];

export const CLUSTER_MUTANTS: readonly ClusterMutant[] = [...MIRROR_MUTANTS, ...OF_THE_CLUSTER];
