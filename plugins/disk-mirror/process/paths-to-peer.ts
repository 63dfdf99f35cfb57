// The link of a volume: over every network that both nodes have, mirror networks first, encrypted with the cluster key.
import { type ProcessContext, UnderstudyError } from 'understudy/plugin';
import type { DiskMirrorOptions } from '../agent/definition.js';
import type { LinkPath } from '../link/link-options.js';
import type { PeerLinkListener } from '../link/peer-link.js';
import { insecureNetwork, type PeerNetwork, secureNetwork } from '../link/peer-network.js';
import { TcpPeerLink } from '../link/tcp-peer-link.js';

type Context = ProcessContext<DiskMirrorOptions>;
type Networks = Context['networks'];

/** Best first: the networks in the order of the config, which is the same on both nodes. */
export const pathsTo = (own: Networks, peer: Networks): readonly LinkPath[] =>
  (['mirror', 'heartbeat'] as const).flatMap((kind) =>
    own[kind].flatMap((localAddress, index) => {
      const peerAddress = peer[kind][index];
      return peerAddress === undefined ? [] : [{ network: `${kind}-${index + 1}`, localAddress, peerAddress }];
    }),
  );

/** Not started: who listens must be there first. Throws CONFIG_INVALID without a network in common, REFUSED where it may not be insecure. */
export const linkToPeer = (
  context: Context,
  listener: PeerLinkListener,
  tell: (kind: string, because: string) => void,
  network?: PeerNetwork,
): TcpPeerLink => {
  const { cluster, group, resource, node, networks, peers, port, keys, clock, random, options } = context;
  const [peer] = peers;
  const paths = peer === undefined ? [] : pathsTo(networks, peer.networks);
  if (peer === undefined || paths.length === 0)
    throw new UnderstudyError('CONFIG_INVALID', `${group}.${resource} has no network in common with ${peer?.node ?? 'a peer'}`);
  const self = { cluster, group, volume: resource, node };
  return new TcpPeerLink(
    {
      self,
      peer: peer.node,
      paths,
      port,
      network:
        network ??
        (options.insecure ? insecureNetwork(paths.map(({ localAddress }) => localAddress)) : secureNetwork(keys, self, peer.node)),
      clock,
      random,
      // Dead before the engine's own patience ends: the reason is the right one, and there is time left to try the next path.
      pingMs: Math.round(options.peerTimeout / 6),
      deadMs: Math.round((2 * options.peerTimeout) / 3),
      compress: options.compress,
      tell: ({ kind, because }) => tell(kind, because),
    },
    listener,
  );
};
