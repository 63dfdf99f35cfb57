// What keeps two nodes from running a group at once, in words: what `check` says of each group. Pure, and no proof: the proof is
// the timing's, and whatever the fences see.
import type { ClusterConfig } from './cluster-config.js';
import { withoutStore } from '../model/no-store.js';

/** One sentence for each group. */
export const protectionOf = ({ arbiter, groups, fencing, watchdog }: ClusterConfig): readonly string[] => {
  const devices = fencing.levels.map((level) => level.map(({ use }) => use).join(' and '));
  const named = devices.length === 0 ? null : devices.join(', else ');
  if (withoutStore({ arbiter }))
    return groups.map(
      ({ id }) =>
        `${id}: there is no store: it starts only with the other node's consent, or when the other is seen off by ${named ?? 'a person: understudy fence confirm'}`,
    );
  return groups.map(({ id }) => {
    switch (fencing.policy) {
      case 'none':
        return `${id}: nothing protects it from running on two nodes at once (fencing: none, unsafe)`;
      case 'watchdog':
        return `${id}: the old node's watchdog (${watchdog.driver}) has reset it when the takeover wait is over${named === null ? '' : `; it is also fenced in the background by ${named}`}`;
      case 'required':
        return named === null
          ? `${id}: it starts elsewhere only when the old node says that it has stopped, is heard in another boot, or a person says: understudy fence confirm`
          : `${id}: it starts elsewhere only when the old node says that it has stopped, is heard in another boot, or is seen off by ${named}`;
    }
  });
};
