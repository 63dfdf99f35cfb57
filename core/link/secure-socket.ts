// The cluster link on a host: messages over the secure streams between nodes that share the cluster key.
import { framed } from '../system/framed-socket.js';
import type { ClusterKeys } from '../system/key-file.js';
import { secureStreams } from '../system/secure-streams.js';
import type { LinkNetwork } from './network.js';

/** The network between the nodes of a cluster that share these keys. */
export const secureNetwork = (keys: ClusterKeys, cluster: string, node: string): LinkNetwork => {
  const streams = secureStreams(keys, cluster, node, 'cluster link');
  return {
    listen: (address, port, { connected, ...rest }) =>
      streams.listen(address, port, { ...rest, connected: (socket) => connected(framed(socket)) }),
    connect: async (to) => framed(await streams.connect(to)),
  };
};
