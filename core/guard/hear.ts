// From heartbeats to events: what peers say and when they fall silent, for every group. Messages of one peer come once a beat
// and network; only what changed is handed on, so that many groups cost nothing while nothing happens.
import type { GroupId, NodeId } from '../model/ids.js';
import type { NewEvent } from '../model/event.js';
import type { BeatGroup, Heartbeats, MembershipChange, Received } from '../membership/contract.js';
import { isSameGroup } from '../membership/message.js';
import type { LeaseClock } from './lease-clock.js';
import type { Owner } from './owner.js';

export interface HearOptions {
  readonly heartbeats: Heartbeats;
  readonly owner: Owner;
  readonly groups: readonly GroupId[];
  readonly leaseClock: LeaseClock;
  readonly tell: (event: NewEvent) => void;
  /** Something that the view shows has changed. */
  readonly changed: () => void;
}

/** What a peer said last of a group; `words`: null when it named no group at all. */
interface Words {
  readonly bootId: string;
  readonly cfgHash: string;
  readonly words: BeatGroup | null;
}
type Said = Map<NodeId, Map<GroupId, Words>>;

export const hear = (options: HearOptions): void => {
  const said: Said = new Map();
  options.heartbeats.onReceived((received) => onReceived(options, said, received));
  options.heartbeats.onChange((change) => {
    // After a silence or a boot everything a peer says is news.
    if (change.kind === 'peer' || change.kind === 'boot') said.delete(change.peer);
    onChange(options, change);
  });
};

const onReceived = ({ owner, groups }: HearOptions, said: Said, { from, bootId, message }: Received): void => {
  switch (message.kind) {
    case 'beat':
      for (const group of message.groups)
        if (groups.includes(group.group)) beat(owner, said, from, bootId, message.cfgHash, group.group, group);
      if (message.groups.length === 0) for (const group of groups) beat(owner, said, from, bootId, message.cfgHash, group, null);
      return undefined;
    case 'nudge':
      return owner.dispatch(message.group, { kind: 'hint' });
    case 'please-stop':
      return owner.dispatch(message.group, { kind: 'please-stop', from, epoch: message.epoch });
    case 'ask': {
      const { group, epoch, round, waitMs } = message;
      return owner.dispatch(group, { kind: 'asked', from, bootId, epoch, round, waitMs });
    }
    case 'grant': {
      const { group, epoch, round, sees } = message;
      return owner.dispatch(group, { kind: 'granted', from, epoch, round, sees });
    }
    case 'refuse': {
      const { group, epoch, round, knows, because } = message;
      return owner.dispatch(group, { kind: 'refused', from, epoch, round, knows, because });
    }
    case 'copy':
      // Orders are no event of a lease: orders-copies.ts.
      return undefined;
    default:
      return message satisfies never;
  }
};

const beat = (owner: Owner, said: Said, from: NodeId, bootId: string, cfgHash: string, group: GroupId, words: BeatGroup | null): void => {
  const ofPeer = said.get(from) ?? new Map<GroupId, Words>();
  const before = ofPeer.get(group);
  const same = before !== undefined && before.bootId === bootId && before.cfgHash === cfgHash && isSameWords(before.words, words);
  if (same && owner.state(group)?.suspicion == null) return;
  if (!same) said.set(from, ofPeer.set(group, { bootId, cfgHash, words }));
  owner.dispatch(group, { kind: 'beat', from, bootId, cfgHash, group: words });
};

const isSameWords = (one: BeatGroup | null, other: BeatGroup | null): boolean =>
  one === other || (one !== null && other !== null && isSameGroup(one, other));

const onChange = ({ owner, heartbeats, leaseClock, tell, changed }: HearOptions, change: MembershipChange): void => {
  changed();
  switch (change.kind) {
    case 'link':
      return tell({ kind: `link.${change.state}`, because: change.because, data: { peer: change.peer, network: change.network } });
    case 'boot':
      if (change.from !== null) owner.dispatch('all', { kind: 'boot-changed', peer: change.peer, from: change.from, to: change.to });
      return tell({
        kind: 'peer.boot',
        because: `${change.peer} is heard as another boot`,
        data: { peer: change.peer, from: change.from, to: change.to },
      });
    case 'jeopardy':
      return tell({
        kind: change.began ? 'peer.jeopardy' : 'peer.jeopardy-ended',
        because: change.because,
        data: { peer: change.peer, network: change.network },
      });
    case 'quality':
      return tell({
        kind: change.began ? 'link.poor' : 'link.poor-ended',
        because: change.because,
        data: { peer: change.peer, network: change.network, lossRatio: change.lossRatio, rttMs: change.rttMs },
      });
    case 'peer': {
      const { peer, state, lastHeardMs, because, jeopardy = false } = change;
      // First the way to the lease, then the words.
      if (state === 'suspect' && lastHeardMs !== null) {
        owner.dispatch('all', {
          kind: 'peer-suspect',
          peer,
          steadyMs: heartbeats.steadyBeforeSilenceMs(peer),
          lastHeardMs: leaseClock.fromMonoMs(lastHeardMs),
          jeopardy,
        });
      }
      return tell({ kind: `peer.${state}`, because, data: { peer, lastHeardMonoMs: lastHeardMs } });
    }
    default:
      return change satisfies never;
  }
};
