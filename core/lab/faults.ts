// The words of `understudy lab fault`: parsed into one of the lab's faults, or handed to a service of the lab by its name.
// Pure. Every refusal names what would have been understood.
import type { NodeId } from '../model/ids.js';
import { UnderstudyError } from '../errors/errors.js';
import type { Cut, CutDirection } from './substrate.js';
import { hostOf, LAB_NETWORKS, type LabNetwork, type LabTopology } from './topology.js';

/** Processes of a host that can be killed one by one or together. */
export const KILLABLE = ['guard', 'controller', 'leash', 'run', 'mirror', 'app'] as const;
export type Killable = (typeof KILLABLE)[number];

export type LabFault =
  | { readonly kind: 'power-off' | 'power-on' | 'reset' | 'pause' | 'resume'; readonly node: NodeId }
  | { readonly kind: 'cut'; readonly cut: Cut }
  | { readonly kind: 'heal'; readonly node: NodeId | null; readonly network: LabNetwork | 'all' | null }
  | { readonly kind: 'kill'; readonly node: NodeId; readonly what: readonly Killable[] }
  | { readonly kind: 'delete-address'; readonly node: NodeId; readonly address: string }
  | { readonly kind: 'service'; readonly service: string; readonly words: readonly string[] };

const refuse = (message: string, hint: string): never => {
  throw new UnderstudyError('USAGE', message, { hint });
};

const oneOf = <Word extends string>(what: string, word: string | undefined, allowed: readonly Word[]): Word =>
  allowed.find((each) => each === word) ??
  refuse(word === undefined ? `a ${what} is missing` : `"${word}" is not a ${what}`, `Say one of: ${allowed.join(', ')}`);

/** `services`: names of the lab's services, which understand words of their own. Throws USAGE or NOT_FOUND. */
export const parseFault = (words: readonly string[], topology: LabTopology, services: readonly string[]): LabFault => {
  const [kind = '', ...rest] = words;
  const host = (): NodeId =>
    hostOf(topology, rest[0] ?? refuse(`${kind} needs a host`, `Hosts: ${topology.hosts.map(({ node }) => node).join(', ')}`)).node;
  const networks = [...LAB_NETWORKS, 'all'] as const;
  const atMost = (count: number): void => {
    if (rest.length > count) refuse(`${kind} does not know what "${rest[count]}" is for`, 'See docs/how-to/use-the-lab.md.');
  };
  switch (kind) {
    case 'power-off':
    case 'power-on':
    case 'reset':
    case 'pause':
    case 'resume':
      atMost(1);
      return { kind, node: host() };
    case 'cut': {
      atMost(3);
      const direction: CutDirection = rest[2] === undefined ? 'both' : oneOf('direction', rest[2], ['in', 'out', 'both']);
      return { kind, cut: { node: host(), network: oneOf('network', rest[1], networks), direction } };
    }
    case 'heal':
      atMost(2);
      return {
        kind,
        node: rest[0] === undefined ? null : host(),
        network: rest[1] === undefined ? null : oneOf('network', rest[1], networks),
      };
    case 'kill': {
      const [, ...what] = rest;
      return { kind, node: host(), what: (what.length === 0 ? [undefined] : what).map((word) => oneOf('process', word, KILLABLE)) };
    }
    case 'delete-address':
      atMost(2);
      return {
        kind,
        node: host(),
        address: rest[1] ?? topology.floating[0] ?? refuse('delete-address needs an address', 'This lab floats none.'),
      };
    default:
      if (services.includes(kind)) return { kind: 'service', service: kind, words: rest };
      return refuse(
        kind === '' ? 'a fault is missing' : `"${kind}" is not a fault`,
        `Say one of: power-off, power-on, reset, pause, resume, cut, heal, kill, delete-address${services.map((name) => `, ${name} …`).join('')}`,
      );
  }
};

/** Whether a process with this command line and environment is one that `what` means. */
export const isKillable = (what: Killable, commandLine: readonly string[], environment: string): boolean => {
  const application = /(^|\0)UNDERSTUDY_RESOURCE=/.test(environment);
  if (what === 'app') return application;
  if (application) return false;
  // `node --flag …/bin.js guard …`, `sh …/leash.sh --run-dir …`, `node …/guard-process.js …`: the script, or its first word.
  const script = commandLine.findIndex((word, at) => at > 0 && !word.startsWith('-'));
  return script > 0 && (commandLine[script + 1] === what || new RegExp(`(^|/)${what}([.-][^/]*)?$`).test(commandLine[script] ?? ''));
};
