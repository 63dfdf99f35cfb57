// Which node of the config this host is. Pure: the host's addresses are an argument.
import type { NodeId } from '../model/ids.js';
import { UnderstudyError } from '../errors/errors.js';
import type { ClusterConfig } from './cluster-config.js';
import { didYouMean } from './nearest.js';

/** `--node`, else $UNDERSTUDY_NODE, else the one node with an address that this host has. Throws NODE_UNKNOWN. */
export const whichNode = (config: ClusterConfig, named: string | undefined, hostAddresses: readonly string[]): NodeId => {
  const names = config.nodes.map(({ id }) => id);
  if (named !== undefined && named !== '') {
    if (names.includes(named)) return named;
    throw new UnderstudyError(
      'NODE_UNKNOWN',
      `there is no node "${named}" in ${config.file}; ${didYouMean(named, names) ?? `there are: ${names.join(', ')}`}`,
    );
  }
  const here = config.nodes.filter(({ networks }) =>
    [networks.service, ...networks.mirror, ...networks.heartbeat].some((address) => address !== null && hostAddresses.includes(address)),
  );
  const [only] = here;
  if (only !== undefined && here.length === 1) return only.id;
  const why =
    here.length === 0 ? 'this host has no address of any of them' : `this host has addresses of ${here.map(({ id }) => id).join(' and ')}`;
  throw new UnderstudyError('NODE_UNKNOWN', `cannot tell which node of ${config.file} this host is: ${why}`);
};

/** `{node}` in a path of the config is this node. */
export const atNode = (path: string, node: NodeId): string => path.replaceAll('{node}', node);
