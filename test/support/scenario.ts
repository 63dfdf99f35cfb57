// Runs the text scenarios of test/scenarios: blocks of commands, each with what it printed under `----`. The language is
// listed in test/scenarios/README.md. A scenario is read as prose in review; UPDATE_SCENARIOS=1 writes the outputs anew.
import type { DesiredGroup, DesiredResource, DesiredState, FencingPolicy, HookPoint, WindowedLimit } from '../../core/model/desired.js';
import type { LeasePhase, RecordState } from '../../core/model/lease.js';
import type { ActionKind, Plan } from '../../core/model/plan.js';
import type { ResourceState } from '../../core/model/observed.js';
import { clusterOf, describe, groupOf, hookOf, PlannerWorld, resourceOf } from './planner-world.js';

export interface Block {
  readonly comments: readonly string[];
  readonly commands: readonly string[];
  /** Null where the block has no `----`. */
  readonly output: readonly string[] | null;
}

export const parseScenario = (text: string): readonly Block[] =>
  text
    .trim()
    .split(/\n\s*\n/)
    .map((chunk) => {
      const lines = chunk.split('\n');
      const line = lines.indexOf('----');
      const head = line < 0 ? lines : lines.slice(0, line);
      return {
        comments: head.filter((one) => one.startsWith('#')),
        commands: head.filter((one) => !one.startsWith('#')).map((one) => one.trim()),
        output: line < 0 ? null : lines.slice(line + 1),
      };
    });

export const renderScenario = (blocks: readonly Block[]): string =>
  `${blocks.map(({ comments, commands, output }) => [...comments, ...commands, ...(output === null ? [] : ['----', ...output])].join('\n')).join('\n\n')}\n`;

/** The blocks with what they print now, and the ids of the rules that decided anything printed. */
export const runScenario = (blocks: readonly Block[]): { readonly blocks: readonly Block[]; readonly rules: ReadonlySet<string> } => {
  const script = new Script();
  const done = blocks.map((block) => {
    const output: string[] = [];
    for (const command of block.commands) output.push(...script.execute(command));
    return { ...block, output: output.length === 0 ? null : output };
  });
  return { blocks: done, rules: script.rules };
};

const windowed = (text: string): WindowedLimit => {
  const match = /^(\d+)\/(\d+)([smh])$/.exec(text);
  if (match === null) throw new Error(`not a limit: ${text}`);
  return { max: Number(match[1]), withinMs: Number(match[2]) * { s: 1_000, m: 60_000, h: 3_600_000 }[match[3] as 's' | 'm' | 'h'] };
};

class Script {
  readonly rules = new Set<string>();
  private cluster: Partial<DesiredState> = {};
  private readonly groups: { given: Partial<DesiredGroup>; id: string; resources: DesiredResource[] }[] = [];
  private made: PlannerWorld | null = null;

  execute(command: string): readonly string[] {
    const [verb = '', ...words] = command.split(/\s+/);
    if (this.define(verb, words)) return [];
    const lines: string[] = [];
    this.world.onLine = (line) => lines.push(line);
    if (verb === 'plan') return this.printPlan(words[0] ?? 'a');
    if (verb === 'run') {
      if (words[0] === undefined) this.world.run();
      else for (let step = 0; step < Number(words[0]); step++) this.world.cycle();
      return [...lines, ...this.printVerdicts()];
    }
    this.event(verb, words, command);
    return lines;
  }

  private get world(): PlannerWorld {
    this.made ??= new PlannerWorld(
      clusterOf(
        this.groups.map(({ id, resources, given }) => groupOf(id, resources, given)),
        this.cluster,
      ),
    );
    return this.made;
  }

  private define(verb: string, words: readonly string[]): boolean {
    if (verb === 'nodes') this.cluster = { ...this.cluster, nodes: words };
    else if (verb === 'fencing') this.cluster = { ...this.cluster, fencing: words[0] as FencingPolicy };
    else if (verb === 'fences') this.cluster = { ...this.cluster, fenceable: words };
    else if (verb === 'group') this.groups.push({ id: words[0] ?? '', resources: [], given: groupOptions(words.slice(1)) });
    else if (verb === 'resource') this.groups.at(-1)?.resources.push(resourceOf(words[0] ?? '', resourceOptions(words.slice(1))));
    else return false;
    return true;
  }

  // One line of the language each; kept in one place because together they are the language.
  private event(verb: string, words: readonly string[], command: string): void {
    const { world } = this;
    const [first = '', second = ''] = words;
    const rest = (from: number): string => words.slice(from).join(' ');
    const [group = '', resource = ''] = second.split('/');
    const order = (id: string, change: object): void => {
      world.orders[id] = { ...ordersOf(world, id), by: 'ops', why: 'planned work', ...change };
    };
    switch (verb) {
      case 'holds':
        return world.holds(first, second, Number(words[3] ?? 1));
      case 'sees': {
        const row = /^(\d+)x$/.exec(words[3] ?? '');
        return world.see(first, group, resource, words[2] as ResourceState, rest(row === null ? 3 : 4), row === null ? 1 : Number(row[1]));
      }
      case 'degraded': {
        Object.assign(world.at(first, group).resources[resource] ?? {}, { degraded: rest(2) });
        return;
      }
      case 'blocks': {
        const at = world.at(first, group);
        at.resources[resource] = { ...at.resources[resource]!, blockers: [rest(2)].filter((why) => why !== 'nothing') };
        return;
      }
      case 'in-sync': {
        world.inSync[first] = second.split(',');
        return;
      }
      case 'force':
        return order(first, { forced: { node: words[2] ?? '', epoch: world.record(first).epoch, by: 'ops', why: 'the other is gone' } });
      case 'truth': {
        world.at(first, group).truth[resource] = words[2] as ResourceState;
        return;
      }
      case 'fails': {
        world.failing[`${second} ${first} ${words[2]}`] = rest(3);
        return;
      }
      case 'mend': {
        for (const key of Object.keys(world.failing)) delete world.failing[key];
        return;
      }
      case 'in-flight': {
        world.at(first, group).inFlight.push({ kind: words[2] as ActionKind, resource, sinceMs: 100 });
        return;
      }
      case 'ended': {
        world.at(first, group).inFlight.length = 0;
        return;
      }
      case 'phase': {
        world.at(first, second).phase = words[2] as LeasePhase;
        return;
      }
      case 'record': {
        world.record(first).state = second as RecordState;
        return;
      }
      case 'failsafe': {
        const [silentMs, node] = [61_000, rest(2)];
        world.failsafe[first] =
          second === 'ends'
            ? null
            : second === 'silent'
              ? { silentMs, by: null, trouble: `${node} did not answer`, fence: [{ node, bootId: `${node}-boot` }], moveTo: null }
              : { silentMs, by: ['b'], trouble: null, fence: [], moveTo: node };
        return;
      }
      case 'no-store': {
        const other = words[2] ?? '';
        world.withoutStore[first] = { node: other, bootId: `${other}-boot`, epoch: 1, fence: second === 'fences' };
        if (second === 'unheard') world.here(other).state = 'unseen';
        return;
      }
      case 'unproven': {
        world.record(second).unproven = { node: words[2] ?? '', bootId: 'a1', epoch: Number(words[4]), proof: null };
        return;
      }
      case 'loses-lease': {
        world.at(first, second).phase = 'observe';
        return;
      }
      case 'silent': {
        world.here(first).state = 'suspect';
        return;
      }
      case 'power-off':
        return world.powerOff(first);
      case 'lost': {
        world.here(first).state = 'lost';
        return;
      }
      case 'power-on':
        return world.powerOn(first);
      case 'restart-controller':
        return world.restartController(first);
      case 'no-report': {
        world.here(first).reports = false;
        return;
      }
      case 'reports': {
        world.here(first).reports = true;
        return;
      }
      case 'config': {
        world.here(first).cfgHash = second;
        return;
      }
      case 'unfit': {
        world.here(first).selfBlockers.push(rest(1));
        return;
      }
      case 'fit': {
        world.here(first).selfBlockers.length = 0;
        return;
      }
      case 'standby': {
        world.here(first).orders = { standby: true, maintenance: false, by: 'ops', why: 'planned work' };
        return;
      }
      case 'node-maintenance': {
        world.here(first).orders = { standby: false, maintenance: true, by: 'ops', why: 'planned work' };
        return;
      }
      case 'unstandby': {
        world.here(first).orders = { standby: false, maintenance: false, by: 'ops', why: 'planned work' };
        return;
      }
      case 'move':
        return order(first, { move: { id: 'm1', to: words[2] ?? '', by: 'ops', why: 'planned work' } });
      case 'stop':
        return order(first, { want: 'offline' });
      case 'start':
        return order(first, { want: 'online' });
      case 'freeze':
        return order(first, { frozen: true });
      case 'unfreeze':
        return order(first, { frozen: false });
      case 'maintenance':
        return order(second, { maintenance: first === 'on' });
      case 'clear':
        return world.clear(first);
      case 'window-passes': {
        for (const [id, seen] of Object.entries(world.at(first, second).resources))
          world.at(first, second).resources[id] = { ...seen, failures: 0 };
        return;
      }
      case 'arbiter': {
        world.arbiter = first as 'ok' | 'silent';
        return;
      }
      default:
        throw new Error(`unknown command: ${command}`);
    }
  }

  private printPlan(node: string): readonly string[] {
    this.world.report();
    const made = this.world.plan(node);
    return made.verdicts.flatMap((verdict) => {
      this.rules.add(verdict.rule);
      const will = made.wills.find(({ group }) => group === verdict.group);
      return [
        `${verdict.group} ${verdict.state} [${verdict.rule}]: ${verdict.because}`,
        ...actionLines(made, verdict.group),
        `  will ${will?.want}${will?.want === 'hold' ? ` rank ${will.rank}` : ''}${will?.preemptOk ? ', may preempt' : ''}${will?.successor === null ? '' : `, next ${will?.successor}`}${will?.blockers.length === 0 ? '' : `: ${will?.blockers.join('; ')}`}`,
        ...(verdict.nextCommand === null ? [] : [`  next: ${verdict.nextCommand}`]),
      ];
    });
  }

  private printVerdicts(): readonly string[] {
    return this.world.awake().flatMap((node) =>
      this.world.plan(node).verdicts.map(({ group, state, rule, because }) => {
        this.rules.add(rule);
        return `${node}: ${group} ${state} [${rule}]: ${because}`;
      }),
    );
  }
}

const ordersOf = (world: PlannerWorld, id: string): NonNullable<PlannerWorld['orders'][string]> => {
  const orders = world.orders[id];
  if (orders === undefined) throw new Error(`no group ${id}`);
  return orders;
};

const actionLines = (made: Plan, group: string): readonly string[] => {
  const names = new Map(made.actions.map((action) => [action.id, describe(action).replace(`${group}/`, '')]));
  return made.actions
    .filter((action) => action.group === group)
    .map((action) => {
      const after = action.after.length === 0 ? '' : ` after ${action.after.map((id) => names.get(id)).join(', ')}`;
      return `  ${names.get(action.id)}${after}: ${action.because}`;
    });
};

const groupOptions = (words: readonly string[]): Partial<DesiredGroup> => {
  const given: { -readonly [K in keyof DesiredGroup]?: DesiredGroup[K] } = {};
  for (let at = 0; at < words.length; at += 2) {
    const value = words[at + 1] ?? '';
    switch (words[at] ?? '') {
      case 'prefer':
        given.prefer = value.split(',');
        break;
      case 'failback':
        given.failback = value as DesiredGroup['failback'];
        break;
      case 'takeover':
        given.takeover = value as DesiredGroup['takeover'];
        break;
      case 'failover':
        given.failover = windowed(value);
        break;
      case 'hooks':
        given.hooks = value.split(',').map((point) => hookOf(point as HookPoint));
        break;
      default:
        throw new Error(`unknown group option: ${words[at]}`);
    }
  }
  return given;
};

const resourceOptions = (words: readonly string[]): Partial<DesiredResource> => {
  const given: { -readonly [K in keyof DesiredResource]?: DesiredResource[K] } = {};
  for (let at = 0; at < words.length; at++) {
    switch (words[at] ?? '') {
      case 'after':
        given.after = (words[++at] ?? '').split(',');
        break;
      case 'restart':
        given.restart = windowed(words[++at] ?? '');
        break;
      case 'tolerance':
        given.tolerance = Number(words[++at]);
        break;
      case 'unknown-limit':
        given.unknownLimit = Number(words[++at]);
        break;
      case 'non-critical':
        given.critical = false;
        break;
      case 'on-only':
        given.operations = 'on-only';
        break;
      case 'watched':
        given.operations = 'none';
        break;
      case 'promotable':
        given.promotable = true;
        break;
      case 'fenced-by-epoch':
        given.fencedByEpoch = true;
        break;
      default:
        throw new Error(`unknown resource option: ${words[at]}`);
    }
  }
  return given;
};
