// The bench's world, once for each contender: groups of four resources in a row, two nodes, nothing running yet. Sources of
// the anchor's shape: Pacemaker groups of `ocf:pacemaker:Dummy` with a monitor each, fencing off.
import type { DesiredState } from '../../../core/model/desired.js';
import { NO_GROUP_ORDERS, NO_NODE_ORDERS } from '../../../core/model/lease.js';
import type { ObservedGroup, ObservedNode, ObservedState } from '../../../core/model/observed.js';
import { CLEAN } from '../../../core/planner/simulate.js';
import { clusterOf, groupOf, resourceOf } from '../../support/planner-world.js';

const PER_GROUP = 4;
const NODES = ['node1', 'node2'] as const;

/** Groups prefer the nodes in turn, as Pacemaker's placement spreads them. */
export const desiredOf = (resources: number): DesiredState =>
  clusterOf(
    Array.from({ length: resources / PER_GROUP }, (_, g) =>
      groupOf(
        `g${g}`,
        Array.from({ length: PER_GROUP }, (__, r) => resourceOf(`r${g}-${r}`, { after: r === 0 ? [] : [`r${g}-${r - 1}`] })),
        { prefer: g % 2 === 0 ? NODES : [...NODES].reverse() },
      ),
    ),
    { nodes: NODES },
  );

/**
 * `cold`: the nodes have just taken the leases of the groups that prefer them; nothing was ever probed on either. `lost`: node1
 * is gone, `self` has just taken its leases, and those groups are off here.
 */
export const observedOf = (desired: DesiredState, self: string, kind: 'cold' | 'lost'): ObservedState => {
  const groups: Record<string, ObservedGroup> = {};
  for (const { id, prefer, resources } of desired.groups) {
    const [first = self] = prefer;
    const taken = kind === 'lost' && first !== self;
    const held = kind === 'lost' || first === self;
    groups[id] = {
      id,
      orders: NO_GROUP_ORDERS,
      failovers: 0,
      transition: taken ? { kind: 'failover', from: first, hooksDone: [], aborted: null } : null,
      lease: {
        group: id,
        phase: held ? 'held' : 'observe',
        epoch: 2,
        holder: held ? self : first,
        record: 'held',
        remainingMs: held ? 1_000 : 0,
        recordAgeMs: 10,
        inSync: [],
        successor: null,
        because: held ? 'acquired' : 'another holds it',
      },
      resources:
        kind === 'cold' ? {} : Object.fromEntries(resources.map((one) => [one.id, { ...CLEAN, state: taken ? 'offline' : 'online' }])),
      inFlight: [],
    };
  }
  const nodes: Record<string, ObservedNode> = Object.fromEntries(
    NODES.map((id) => [
      id,
      {
        id,
        state: id === self || kind === 'cold' ? 'member' : 'lost',
        orders: NO_NODE_ORDERS,
        cfgHash: desired.cfgHash,
        reportAgeMs: 100,
        groups: {},
      },
    ]),
  );
  return { self, nowMs: 0, nodes, groups, arbiter: { state: 'ok', ageMs: 10, because: 'it answers' }, selfBlockers: [] };
};

const OPERATION =
  'crm-debug-origin="bench" crm_feature_set="3.1.0" exit-reason="" op-status="0" last-rc-change="1700000000" exec-time="0" queue-time="0"';
const KEY = 'xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx';

/** What a node's executor remembers of one resource: started and monitored there, or probed and found off. */
const historyOf = (id: string, active: boolean): string => {
  const operation = (task: string, interval: number, rc: number, call: number, name: string): string =>
    `<lrm_rsc_op id="${id}_${name}" operation_key="${id}_${task}_${interval}" operation="${task}" ${OPERATION} transition-key="${call}:-1:${rc}:${KEY}" ` +
    `transition-magic="0:${rc};${call}:-1:${rc}:${KEY}" call-id="${call}" rc-code="${rc}" interval="${interval}" op-digest="${interval === 0 ? 'f2317cad3d54cec5d7d7aa7d0bf35cf8' : '4811cef7f7f94e3a35a70be7916cb2fd'}"/>`;
  const operations = active
    ? [operation('start', 0, 0, 2, 'last_0'), operation('monitor', 10_000, 0, 3, 'monitor_10000')]
    : [operation('monitor', 0, 7, 1, 'last_0')];
  return `<lrm_resource id="${id}" class="ocf" provider="pacemaker" type="Dummy">${operations.join('')}</lrm_resource>`;
};

/** The same world as a Pacemaker CIB: `cold`, or `placed` with the groups running on the nodes in turn. */
export const cibOf = (resources: number, kind: 'cold' | 'placed'): string => {
  const ids = Array.from({ length: resources / PER_GROUP }, (_, g) => Array.from({ length: PER_GROUP }, (__, r) => `r${g}-${r}`));
  const groups = ids.map((members, g) => {
    const primitives = members.map(
      (id) =>
        `<primitive id="${id}" class="ocf" provider="pacemaker" type="Dummy"><operations><op id="o-${id}" name="monitor" interval="10s"/></operations></primitive>`,
    );
    return `<group id="g${g}">${primitives.join('')}</group>`;
  });
  const states = NODES.map((name, at) => {
    const history = kind === 'cold' ? [] : ids.flatMap((members, g) => members.map((id) => historyOf(id, g % NODES.length === at)));
    return `<node_state id="${at + 1}" uname="${name}" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="${at + 1}"><lrm_resources>${history.join('')}</lrm_resources></lrm></node_state>`;
  });
  return [
    '<cib crm_feature_set="3.1.0" validate-with="pacemaker-3.0" epoch="1" num_updates="0" admin_epoch="0" have-quorum="1" dc-uuid="1"><configuration>',
    '<crm_config><cluster_property_set id="p"><nvpair id="p1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>',
    `<nodes>${NODES.map((name, at) => `<node id="${at + 1}" uname="${name}"/>`).join('')}</nodes><resources>${groups.join('')}</resources><constraints/></configuration>`,
    `<status>${states.join('')}</status></cib>`,
  ].join('\n');
};
