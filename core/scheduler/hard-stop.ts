// The hard-stop list of a group (SAFETY a.6): what makes it harmless without Node, scripts or luck. Written before the first
// effect of a start, kept until the group is stopped and the lease is no longer ours; guard and leash read it.
import { inject, injectable } from 'tsyringe';
import type { DesiredGroup } from '../model/desired.js';
import type { GroupId } from '../model/ids.js';
import { Addresses } from '../system/addresses.js';
import { Files } from '../system/files.js';
import { hardStopList } from '../system/paths.js';
import { Contexts } from './contexts.js';
import { Agents, Self } from './ports.js';

/** The closed vocabulary in the order in which it is executed. */
const VOCABULARY = ['freeze', 'addr', 'table', 'unit', 'cgroup', 'pidfile', 'pids', 'nbd', 'mount'] as const;

@injectable()
export class HardStopLists {
  private readonly written = new Map<GroupId, string>();

  constructor(
    @inject(Contexts) private readonly contexts: Contexts,
    @inject(Agents) private readonly agents: Agents,
    @inject(Addresses) private readonly addresses: Addresses,
    @inject(Self) private readonly self: Self,
    @inject(Files) private readonly files: Files,
  ) {}

  /** Makes the file say what the group's agents say. Throws when it cannot: then nothing may be started. */
  write(group: DesiredGroup): void {
    const text = this.text(group);
    if (this.written.get(group.id) === text) return;
    this.files.replaceSync(this.path(group.id), text, { fsync: false });
    this.written.set(group.id, text);
  }

  remove(group: GroupId): void {
    this.written.delete(group);
    this.files.remove(this.path(group));
  }

  /** The union over all resources, without doubles, in the order of the vocabulary. */
  text(group: DesiredGroup): string {
    const lines = new Set<string>();
    for (const resource of group.resources) {
      const options = resource.options;
      const own =
        this.agents.definition(resource.type)?.hardStop?.({
          options,
          group: group.id,
          resource: resource.id,
          ...this.contexts.places(group, resource),
          addressLine: (name, address, prefix) => this.addresses.hardStopLine(name, address, prefix),
        }) ?? [];
      for (const line of own) lines.add(line);
    }
    return [...lines]
      .map((line) => ({ line, rank: rankOf(line) }))
      .sort((one, other) => one.rank - other.rank)
      .map(({ line }) => `${line}\n`)
      .join('');
  }

  private path(group: GroupId): string {
    return hardStopList({ run: this.self.runDir, state: '', log: '' }, group);
  }
}

const rankOf = (line: string): number => {
  const rank = VOCABULARY.indexOf(line.split(' ', 1)[0] as (typeof VOCABULARY)[number]);
  if (rank === -1 || /[\r\n]/.test(line))
    throw new Error(`"${line}" is not a line of a hard-stop list: it must begin with one of ${VOCABULARY.join(', ')}`);
  return rank;
};
