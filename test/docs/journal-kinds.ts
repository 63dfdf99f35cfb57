// Which kinds of events the code writes, read from its sources: every literal that is given as a kind where a journal is
// written. Kinds that are put together from a state are listed by that state's own type, so that the compiler keeps them whole.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MembershipChange } from '../../core/membership/contract.js';
import type { ArbiterView } from '../../core/model/lease.js';

type StateOf<Kind> = Extract<MembershipChange, { readonly kind: Kind; readonly state: string }>['state'];

/** `link.${…}` and the like: the states behind the dot. */
const COMPOSED: Readonly<Record<string, readonly string[]>> = {
  link: Object.keys({ up: 1, down: 1 } satisfies Record<Exclude<StateOf<'link'>, 'unknown'>, 1>),
  peer: Object.keys({ member: 1, suspect: 1, lost: 1 } satisfies Partial<Record<StateOf<'peer'>, 1>>),
  arbiter: Object.keys({ ok: 1, silent: 1, refused: 1 } satisfies Record<Exclude<ArbiterView['state'], 'unknown'>, 1>),
};

/** Rooms whose files may write to a journal. */
const ROOMS = ['journal', 'daemon', 'guard', 'ownership', 'scheduler', 'api', 'link'];

/** Dotted literals of these rooms that are names of files. */
const FILES = /\.(sock|json|jsonl|beat|log|sh|ts|js|lock|key|tmp|procs|events|kill|freeze|service)$/;

/** A kind without a dot: only where it is plainly written to a journal. */
const BARE = /(?:journal\.write|#tell)\(\{\s*kind: '([a-z-]+)'/g;

const sourcesOf = (room: string): readonly string[] =>
  readdirSync(`core/${room}`)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join('core', room, file), 'utf8').replaceAll(/^\s*(\/\/|\/?\*).*$/gm, ''));

const dotted = (source: string): readonly string[] =>
  [...source.matchAll(/'([a-z]+\.[a-z-]+)'/g)].map(([, kind = '']) => kind).filter((kind) => !FILES.test(kind));

export const writtenKinds = (): readonly string[] => {
  const kinds = new Set<string>();
  for (const source of ROOMS.flatMap(sourcesOf)) {
    for (const kind of dotted(source)) kinds.add(kind);
    for (const [, kind = ''] of source.matchAll(BARE)) kinds.add(kind);
    for (const [, prefix = ''] of source.matchAll(/kind: [^\n]*`([a-z]+)\.\$\{/g))
      for (const state of COMPOSED[prefix] ?? ['of-which-states']) kinds.add(`${prefix}.${state}`);
  }
  return [...kinds].sort();
};

/** Kinds that `explain` looks for: each must be written by somebody. */
export const readKinds = (): readonly string[] => [...new Set(sourcesOf('planner').flatMap(dotted))].sort();

/** Hook points that something runs: named by a room that drives the group. */
export const fired = (): ReadonlySet<string> =>
  new Set(
    ['scheduler', 'planner']
      .flatMap(sourcesOf)
      .flatMap((source) => [...source.matchAll(/'((?:before|after|on)[A-Z]\w+)'/g)].map(([, point = '']) => point)),
  );
