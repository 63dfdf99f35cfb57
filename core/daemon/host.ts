// What stands behind the doors of core/system on this host: the only place that looks at the platform to choose.
import type { DependencyContainer } from 'tsyringe';
import type { ClusterConfig } from '../config/cluster-config.js';
import { atNode } from '../config/identity.js';
import type { NodeId } from '../model/ids.js';
import { Addresses } from '../system/addresses.js';
import { LinuxAddresses } from '../system/addresses-linux.js';
import { TableAddresses } from '../system/addresses-table.js';
import { WindowsAddresses } from '../system/addresses-windows.js';
import { Cgroups } from '../system/cgroup.js';
import { LinuxCgroups } from '../system/cgroup-linux.js';
import { Clock, systemClock } from '../system/clock.js';
import { Exec } from '../system/exec.js';
import { systemExec } from '../system/exec-system.js';
import { Files } from '../system/files.js';
import { systemFiles } from '../system/files-system.js';
import { Processes } from '../system/process.js';
import { LinuxProcesses } from '../system/process-linux.js';
import { Random, systemRandom } from '../system/random.js';

/** Everything that does not depend on the config. */
export const registerHost = (container: DependencyContainer): void => {
  container.register(Clock, { useValue: systemClock });
  container.register(Files, { useValue: systemFiles });
  container.register(Random, { useValue: systemRandom });
  container.register(Exec, { useValue: systemExec() });
  container.registerSingleton(Cgroups, LinuxCgroups);
  container.registerSingleton(Processes, LinuxProcesses);
};

/** Where floating addresses are put: this host's interfaces, or a file of the lab. */
export const registerAddresses = (container: DependencyContainer, { addresses }: ClusterConfig, node: NodeId): void => {
  if (addresses.kind === 'table') container.register(Addresses, { useValue: new TableAddresses(atNode(addresses.path, node)) });
  else if (process.platform === 'win32') container.registerSingleton(Addresses, WindowsAddresses);
  else container.registerSingleton(Addresses, LinuxAddresses);
};
