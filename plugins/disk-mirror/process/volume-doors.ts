// What of the host a volume uses by itself, beside its files and its context: sockets to the peer, the NBD service, the kernel's
// driver. A simulated host has one of each of its own.
import { KernelDevice, type KernelDeviceOptions } from '../attach/kernel-device.js';
import type { PeerNetwork } from '../link/peer-network.js';
import { type NbdServer, type NbdServerOptions, startNbdServer } from '../nbd/server.js';

export interface VolumeDoors {
  /** Default: TLS with the cluster's key, or what `insecure` says. */
  readonly network?: PeerNetwork;
  readonly serve: (options: NbdServerOptions) => Promise<NbdServer>;
  readonly kernel: (options: KernelDeviceOptions) => Pick<KernelDevice, 'there' | 'attach' | 'detach'>;
}

export const HOST_DOORS: VolumeDoors = { serve: startNbdServer, kernel: (options) => new KernelDevice(options) };
