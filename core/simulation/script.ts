// The words of a scripted simulation: `at 10s power-off a; at 40s power-on a`. Pure: text to steps, or an error that says which
// words there are. Names of nodes, networks and groups are checked here, so that a slip is not an hour of nothing.
import type { ClusterConfig } from '../config/cluster-config.js';
import { didYouMean } from '../config/nearest.js';
import { parseDurationMs } from '../config/fields.js';
import { UnderstudyError } from '../errors/errors.js';
import type { GroupId, NodeId, ResourceId } from '../model/ids.js';

export type Command =
  | { readonly kind: 'power-off' | 'power-on'; readonly node: NodeId }
  /** `network` counts from 0; null: every network and the arbiter. */
  | { readonly kind: 'cut'; readonly node: NodeId; readonly from: number | 'arbiter' | null }
  | { readonly kind: 'heal' }
  | { readonly kind: 'kill'; readonly node: NodeId; readonly process: 'guard' | 'controller' | 'leash' }
  | { readonly kind: 'pause'; readonly node: NodeId; readonly forMs: number }
  | { readonly kind: 'switchover'; readonly group: GroupId; readonly to: NodeId }
  | { readonly kind: 'app-exit'; readonly group: GroupId; readonly resource: ResourceId | null };

export interface Step {
  /** From the moment at which every group is online. */
  readonly atMs: number;
  readonly command: Command;
  /** As it was written, for the story. */
  readonly text: string;
}

/** How each command is written, for help and errors. */
export const SCRIPT_WORDS: Readonly<Record<Command['kind'], string>> = {
  'power-off': 'power-off NODE',
  'power-on': 'power-on NODE',
  cut: 'cut NODE [heartbeat-N | arbiter]',
  heal: 'heal',
  kill: 'kill guard | controller | leash NODE',
  pause: 'pause NODE DURATION',
  switchover: 'switchover GROUP NODE',
  'app-exit': 'app-exit GROUP [RESOURCE]',
};

/** Steps in the order of their times. Throws USAGE at the first that cannot be understood. */
export const parseScript = (text: string, config: ClusterConfig): readonly Step[] => {
  const steps = text
    .split(/[;\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => parseStep(part, config));
  if (steps.length === 0) throw wrong(text, 'it says nothing');
  return steps.toSorted((one, other) => one.atMs - other.atMs);
};

const parseStep = (text: string, config: ClusterConfig): Step => {
  const [at, time = '', word = '', ...operands] = text.split(/\s+/);
  if (at !== 'at') throw wrong(text, 'a step begins with: at TIME');
  const atMs = time === '0' ? 0 : parseDurationMs(time);
  if (atMs === null) throw wrong(text, `"${time}" is no time: write 500ms, 10s or 2m`);
  return { atMs, command: parseCommand(text, word, operands, config), text: [word, ...operands].join(' ') };
};

const parseCommand = (text: string, word: string, operands: readonly string[], config: ClusterConfig): Command => {
  const [first, second] = operands;
  const takes = (fewest: number, most: number) => {
    if (operands.length < fewest || operands.length > most) throw wrong(text, `it is written: ${SCRIPT_WORDS[word as Command['kind']]}`);
  };
  const nodes = config.nodes.map(({ id }) => id);
  const node = (name: string | undefined) => known(text, 'node', name, nodes);
  const group = (name: string | undefined) =>
    known(
      text,
      'group',
      name,
      config.groups.map(({ id }) => id),
    );
  switch (word) {
    case 'power-off':
    case 'power-on':
      takes(1, 1);
      return { kind: word, node: node(first) };
    case 'cut':
      takes(1, 2);
      return { kind: 'cut', node: node(first), from: second === undefined ? null : placeOf(text, second, config) };
    case 'heal':
      takes(0, 0);
      return { kind: 'heal' };
    case 'kill':
      takes(2, 2);
      return { kind: 'kill', process: known(text, 'process', first, ['guard', 'controller', 'leash'] as const), node: node(second) };
    case 'pause': {
      takes(2, 2);
      const forMs = parseDurationMs(second ?? '');
      if (forMs === null) throw wrong(text, `"${second}" is no duration: write 500ms, 10s or 2m`);
      return { kind: 'pause', node: node(first), forMs };
    }
    case 'switchover':
      takes(2, 2);
      return { kind: 'switchover', group: group(first), to: node(second) };
    case 'app-exit': {
      takes(1, 2);
      const id = group(first);
      const resources = config.groups.find((one) => one.id === id)?.resources.map((resource) => resource.id) ?? [];
      return { kind: 'app-exit', group: id, resource: second === undefined ? null : known(text, `resource of ${id}`, second, resources) };
    }
    default: {
      const words = Object.keys(SCRIPT_WORDS);
      throw wrong(text, `"${word}" is no command${hintOf(word, words)}; there are ${words.join(', ')}`);
    }
  }
};

const placeOf = (text: string, name: string, config: ClusterConfig): number | 'arbiter' => {
  const networks = (config.nodes[0]?.networks.heartbeat ?? []).map((_, index) => `heartbeat-${index + 1}`);
  const place = known(text, 'network', name, [...networks, 'arbiter']);
  return place === 'arbiter' ? 'arbiter' : networks.indexOf(place);
};

const known = <const Name extends string>(text: string, what: string, name: string | undefined, names: readonly Name[]): Name => {
  const found = names.find((one) => one === name);
  if (found !== undefined) return found;
  throw wrong(text, `there is no ${what} "${name ?? ''}"${hintOf(name ?? '', names)}; there is ${names.join(', ')}`);
};

const hintOf = (word: string, words: readonly string[]): string => {
  const hint = didYouMean(word, words);
  return hint === undefined ? '' : `, ${hint}`;
};

const wrong = (text: string, why: string): UnderstudyError =>
  new UnderstudyError('USAGE', `the script cannot be followed at "${text}": ${why}`, {
    hint: 'For example: --script "at 10s power-off a; at 40s power-on a". See docs/how-to/simulate.md.',
  });
