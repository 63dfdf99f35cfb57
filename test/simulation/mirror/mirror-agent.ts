// The production agent of the mirror, told by the production controller, with the simulated host's sockets. Nothing is attached:
// who writes speaks to the export (client.ts).
import type { RealAgent } from '../../../core/simulation/sim-agent.js';
import type { SimProcess } from '../../../core/simulation/sim-process.js';
import { z } from '../../../core/config/fields.js';
import type { Agent, MonitorContext } from '../../../core/plugin/contract.js';
import { type DiskMirrorOptions, diskMirror } from '../../../plugins/disk-mirror/agent/definition.js';
import { DiskMirrorAgent } from '../../../plugins/disk-mirror/agent/disk-mirror-agent.js';
import type { Attachment } from '../../../plugins/disk-mirror/attach/attachment.js';
import type { ControlClientOptions } from '../../../plugins/disk-mirror/process/control-client.js';
import { controlSocket, exportName } from '../../../plugins/disk-mirror/process/places.js';

const NOTHING: Attachment = {
  attach: async ({ socket }) => socket,
  detach: async () => undefined,
  look: async ({ socket }) => ({ state: 'attached', device: socket }),
};

class SimMirrorAgent extends DiskMirrorAgent {
  readonly #process: SimProcess;

  constructor(process: SimProcess) {
    // Only attaching runs programs.
    super(undefined as never, process.clock, undefined as never);
    this.#process = process;
  }

  protected override client({ group, resource, runDir }: MonitorContext<DiskMirrorOptions>): ControlClientOptions {
    const { node, clock } = this.#process;
    return { sockets: node.sockets.forProcess(this.#process), clock, path: controlSocket(runDir), volume: exportName(group, resource) };
  }

  protected override attachment(): Attachment {
    return NOTHING;
  }
}

export const mirrorAgent: RealAgent = {
  definition: {
    summary: diskMirror.summary,
    options: z.unknown(),
    operations: diskMirror.operations!,
    promotable: true,
    mirror: true,
    defaults: diskMirror.defaults!,
    hardStop: ({ runDir }) => [`freeze ${controlSocket(runDir)}`],
    fencedByEpoch: true,
    agent: () => Promise.reject(new Error('it is made for one controller')),
  },
  agent: (process) => new SimMirrorAgent(process) as unknown as Agent,
};
