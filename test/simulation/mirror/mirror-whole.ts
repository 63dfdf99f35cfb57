// The configuration of a plan with a mirror: one volume, and an application that is started when it is promoted.
import { Chance } from '../../../core/simulation/chance.js';
import type { Whole } from '../../../core/simulation/cluster-world.js';
import type { Plan } from '../../../core/simulation/fault-plan.js';
import { configOf, GROUP } from '../../../core/simulation/plan-config.js';
import type { SimResource } from '../../../core/simulation/sim-agent.js';
import { wholeWith } from '../../../core/simulation/whole.js';
import { VOLUME } from './copies.js';
import { mirrorAgent } from './mirror-agent.js';

export const mirrorWholeOf = (plan: Plan): Whole => {
  const chance = new Chance(plan.seed).stream('whole mirror');
  const kinds = new Map<string, SimResource>([
    ['sim-mirror', { shows: 'export', startMs: 5, stopMs: 5, monitorMs: 3, real: mirrorAgent }],
    ['sim-app', { shows: 'process', startMs: chance.heavyTail(20, 1_500), stopMs: chance.heavyTail(20, 1_000), monitorMs: 5 }],
  ]);
  const resources = {
    [VOLUME]: { use: 'sim-mirror', every: `${chance.pick([1, 2, 5])}s`, startTimeout: '30s', stopTimeout: '30s' },
    app: { use: 'sim-app', after: [VOLUME], every: '5s', restart: { max: 2, within: '10m' } },
  };
  return { ...wholeWith(configOf(plan, resources), kinds), mirrored: [GROUP] };
};
