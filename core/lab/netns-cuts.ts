// Cuts of cables in the netns substrate: nftables drops at the ingress of whoever would have received, so that the sender
// notices nothing (a drop on the way out would answer EPERM). One chain per receiving interface. Needs Debian's `nftables`.
import { tool } from './lab-process.js';
import { farEnd, INTERFACE, namespaceOf } from './netns-names.js';
import type { Cut } from './substrate.js';
import { LAB_NETWORKS, type LabHostPlan, type LabNetwork } from './topology.js';
import { reasonOf, UnderstudyError } from '../errors/errors.js';

interface Drop {
  readonly namespace: string;
  readonly device: string;
}

/** Every receiving interface that a cut silences. */
export const dropsOf = (labId: string, host: LabHostPlan, { network, direction }: Omit<Cut, 'node'>): readonly Drop[] => {
  const networks: readonly LabNetwork[] = network === 'all' ? LAB_NETWORKS : [network];
  return networks.flatMap((name) => {
    const far = farEnd(name, host.index);
    return [
      ...(direction === 'out' ? [] : [{ namespace: namespaceOf(labId, host.node), device: INTERFACE[name] }]),
      ...(direction === 'in' ? [] : [{ namespace: namespaceOf(labId, far.place), device: far.name }]),
    ];
  });
};

const nft = (namespace: string, script: string): void => {
  try {
    tool(['nsenter', `--net=/run/netns/${namespace}`, '--', 'nft', '-f', '-'], script);
  } catch (thrown) {
    if (!/(^|\W)nft\W.*(not found|No such file)/s.test(reasonOf(thrown))) throw thrown;
    throw new UnderstudyError('LAB_FAILED', 'could not cut a network: the program nft is missing', {
      cause: thrown,
      hint: 'Install it: apt-get install nftables',
    });
  }
};

/** A chain whose interface went with its host stays behind without it: so it is made where missing, emptied and removed. */
const removal = (device: string): string =>
  `table netdev lab {\n chain cut-${device} {\n }\n}\nflush chain netdev lab cut-${device}\ndelete chain netdev lab cut-${device}\n`;

/** Every packet that would arrive at the interface is dropped. Twice is once. */
export const addDrop = ({ namespace, device }: Drop): void =>
  nft(
    namespace,
    `${removal(device)}table netdev lab {\n chain cut-${device} {\n  type filter hook ingress device "${device}" priority 0;\n  drop\n }\n}\n`,
  );

/** Packets arrive again. */
export const removeDrop = ({ namespace, device }: Drop): void => nft(namespace, removal(device));
