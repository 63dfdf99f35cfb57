// The agent behind disk-mirror. The bytes are carried by the volume's own process, which runs with or without this one; here
// its role is changed and its device attached, in the one safe order: promote, then attach; detach, then demote. It keeps no
// state: what is there is asked of the process and of the kernel each time.
import { inject, injectable } from 'tsyringe';
import {
  type ActionContext,
  type ActionReport,
  type Agent,
  Cgroups,
  Clock,
  connectFramed,
  Exec,
  listenFramed,
  type LocalSockets,
  type MonitorContext,
  type MonitorResult,
  type Operation,
  type SideEffect,
} from 'understudy/plugin';
import type { AttachPlace, Attachment, AttachState } from '../attach/attachment.js';
import { attachmentOf } from '../attach/attachments.js';
import { type ControlClientOptions, kernelAttach, order, viewVolume, watchVolume } from '../process/control-client.js';
import { controlSocket, defaultDevice, exportName, serviceSocket } from '../process/places.js';
import type { VolumeView } from '../process/protocol.js';
import type { DiskMirrorOptions } from './definition.js';
import { resultOf } from './monitor-result.js';

type Monitoring = MonitorContext<DiskMirrorOptions>;
type Acting = ActionContext<DiskMirrorOptions>;

/** What promote keeps back for attaching, and demote for flushing, of the time it has. */
const SHARE = 0.6;

@injectable()
export class DiskMirrorAgent implements Agent<DiskMirrorOptions> {
  constructor(
    @inject(Exec) private readonly exec: Exec,
    @inject(Clock) private readonly clock: Clock,
    @inject(Cgroups) private readonly cgroups: Cgroups,
  ) {}

  async monitor(context: Monitoring): Promise<MonitorResult> {
    const view = await viewVolume(this.client(context), context.limitMs, context.signal);
    return resultOf(view, view.role === 'primary' ? await this.look(context) : null);
  }

  /** Asserts that the process answers; its supervisor starts it at boot and again whenever it ends. */
  async start(context: Acting): Promise<ActionReport> {
    const view = await viewVolume(this.client(context), context.limitMs, context.signal);
    return { detail: { role: view.role, disk: view.disk } };
  }

  async promote(context: Acting): Promise<ActionReport> {
    const { epoch, limitMs, signal, checkLease } = context;
    checkLease();
    await order(this.client(context), { do: 'promote', epoch, force: false }, limitMs * SHARE, signal);
    checkLease();
    const device = await this.attachment(context).attach(this.place(context), limitMs * (1 - SHARE), signal);
    return { detail: { device } };
  }

  async demote(context: Acting): Promise<ActionReport> {
    const { limitMs, signal } = context;
    await this.attachment(context).detach(this.place(context), limitMs * (1 - SHARE), signal);
    await order(this.client(context), { do: 'demote' }, limitMs * SHARE, signal);
    return {};
  }

  watch(context: Monitoring, changed: () => void): () => void {
    let last = '';
    return watchVolume(this.client(context), (view) => {
      const next = view === null ? '' : newsOf(view);
      if (next !== last) changed();
      last = next;
    });
  }

  async plan(op: Operation, context: Monitoring): Promise<readonly SideEffect[]> {
    const { group, resource, options } = context;
    const volume = exportName(group, resource);
    const effect = (what: string): SideEffect => ({ kind: 'process', what, on: volume });
    if (op === 'promote')
      return [effect('mirror: become primary under the lease, settle, serve'), effect(`attach by ${options.attach} at ${linkOf(context)}`)];
    if (op === 'demote') return [effect(`detach ${linkOf(context)}`), effect('mirror: flush both copies, become secondary')];
    return [];
  }

  private look(context: Monitoring): Promise<AttachState> {
    return this.attachment(context).look(this.place(context), context.signal);
  }

  protected attachment(context: Monitoring): Attachment {
    const client = this.client(context);
    return attachmentOf(context.options.attach, { exec: this.exec, clock: this.clock, cgroups: this.cgroups }, kernelAttach(client));
  }

  protected client({ group, resource, runDir }: Monitoring): ControlClientOptions {
    return { sockets: SOCKETS, clock: this.clock, path: controlSocket(runDir), volume: exportName(group, resource) };
  }

  private place(context: Monitoring): AttachPlace {
    const { group, resource, runDir, cgroup } = context;
    const acting = context as Partial<Acting>;
    return {
      socket: serviceSocket(runDir),
      exportName: exportName(group, resource),
      link: linkOf(context),
      runDir,
      cgroup,
      logFile: acting.logFile ?? '',
      environment: acting.environment ?? {},
    };
  }
}

const SOCKETS: LocalSockets = { listen: listenFramed, connect: (path) => connectFramed(path) };

const linkOf = ({ options, group, resource }: Monitoring): string => options.device ?? defaultDevice(group, resource);

/** What makes another monitor worth its cost: states, not figures. */
const newsOf = ({ role, disk, peerDisk, connection, serving, suspended, resync, resyncs }: VolumeView): string =>
  JSON.stringify([role, disk, peerDisk, connection, serving, suspended !== null, resync !== null, resyncs]);
