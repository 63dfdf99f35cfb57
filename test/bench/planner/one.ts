// One whole process that builds the bench's world, plans once for each node of a cold cluster (or once for the survivor) and
// ends: what a run of crm_simulate is to Pacemaker. Prints one JSON line. Arguments: RESOURCES cold|lost [REPEATS].
import { plan } from '../../../core/planner/plan.js';
import { desiredOf, observedOf } from './world.js';

const [resources = '1000', kind = 'cold', repeats = '0'] = process.argv.slice(2);
const desired = desiredOf(Number(resources));
// Pacemaker plans for all nodes at once; here each node plans for itself, so a cold cluster costs two plans.
const views =
  kind === 'lost' ? [observedOf(desired, 'node2', 'lost')] : ['node1', 'node2'].map((self) => observedOf(desired, self, 'cold'));

const measure = (): { ms: number; actions: number } => {
  const begun = process.hrtime.bigint();
  const actions = views.reduce((sum, observed) => sum + plan(desired, observed).actions.length, 0);
  return { ms: Number(process.hrtime.bigint() - begun) / 1e6, actions };
};

const first = measure();
const warm = Array.from({ length: Number(repeats) }, () => measure().ms).sort((left, right) => left - right);
console.log(
  JSON.stringify({
    resources: Number(resources),
    kind,
    actions: first.actions,
    firstMs: first.ms,
    warmMs: warm[warm.length >> 1] ?? null,
    rssMb: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
);
