// The agent behind filesystem. Every look is by the kernel's table of mounts and never touches the filesystem itself, so that a disk
// that hangs hangs nothing here; probes that do are children with a deadline. Invariants: nothing is mounted over another device,
// or twice; what is stopped is unmounted in every namespace; nobody is ended who is not proven to be inside.
import { inject, injectable } from 'tsyringe';
import {
  type ActionContext,
  type ActionReport,
  type Agent,
  Clock,
  type MonitorContext,
  type MonitorResult,
  type Operation,
  Processes,
  reasonOf,
  type SideEffect,
  UnderstudyError,
} from 'understudy/plugin';
import { checkBefore, fsckCommand } from './check.js';
import type { FilesystemOptions } from './definition.js';
import { MountHost } from './host.js';
import { isOf, type Mount, mountAt, type Wanted } from './mounts.js';
import { probeFault } from './probe.js';
import type { User } from './users.js';

type Monitoring = MonitorContext<FilesystemOptions>;
type Acting = ActionContext<FilesystemOptions>;

const LOOK_AGAIN_MS = 50;
/** Named in events; the rest are counted. */
const NAMED = 10;

@injectable()
export class Filesystem implements Agent<FilesystemOptions> {
  constructor(
    @inject(MountHost) private readonly host: MountHost,
    @inject(Processes) private readonly processes: Processes,
    @inject(Clock) private readonly clock: Clock,
  ) {}

  async monitor(context: Monitoring): Promise<MonitorResult> {
    const { options } = context;
    const wanted = this.host.wanted(options.device);
    const found = this.at(options.mount);
    if (found === undefined) return { state: 'offline', reason: `nothing is mounted at ${options.mount}` };
    if (!isOf(found, wanted)) return { state: 'faulted', reason: this.stranger(found, wanted, options) };
    if (found.shutDown) return { state: 'faulted', reason: `the filesystem at ${options.mount} is shut down: see the kernel's log` };
    if (found.readOnly && !wantsReadOnly(options))
      return { state: 'faulted', reason: `${options.mount} is read-only: the kernel makes it so when it finds errors; see its log` };
    const fault = context.active ? await probeFault(context, wanted) : null;
    return fault === null ? { state: 'online', detail: { source: found.source, type: found.type } } : { state: 'faulted', reason: fault };
  }

  async start(context: Acting): Promise<ActionReport> {
    const { options, signal, run, checkLease } = context;
    signal.throwIfAborted();
    const wanted = this.host.wanted(options.device);
    const there = this.at(options.mount);
    if (there !== undefined) {
      if (!isOf(there, wanted)) throw failed(`cannot mount ${options.device}: ${this.stranger(there, wanted, options)}`);
      if (there.readOnly && !wantsReadOnly(options))
        throw failed(`${options.mount} is mounted read-only already: the kernel makes it so when it finds errors; see its log`);
      return { detail: { already: true } };
    }
    if (options.device.startsWith('/') && wanted.path === null) throw failed(`cannot mount ${options.device}: there is no such device`);
    const other = this.host.mounts().find((mount) => wanted.number !== null && isOf(mount, wanted));
    if (other !== undefined) throw failed(`cannot mount ${options.device} at ${options.mount}: it is mounted at ${other.at}`);
    if (!this.host.isDirectory(options.mount)) {
      if (!options.makeDirectory) throw failed(`cannot mount at ${options.mount}: there is no such directory`);
      this.host.makeDirectory(options.mount);
    }
    const checked = await checkBefore(context, wanted);
    checkLease();
    await run('mount', mountWords(options));
    const found = this.at(options.mount);
    if (found === undefined || !isOf(found, wanted))
      throw failed(`mount said it was done, and ${options.device} is not at ${options.mount}`);
    if (found.readOnly && !wantsReadOnly(options)) {
      await run('umount', [options.mount]);
      throw failed(
        `${options.device} could only be mounted read-only, and was unmounted again: is the device read-only, or does it have errors?`,
      );
    }
    return { detail: { source: found.source, type: found.type, ...checked } };
  }

  async stop(context: Acting): Promise<ActionReport> {
    const { options } = context;
    const ended: User[] = [];
    for (let found = this.at(options.mount); found !== undefined; found = this.at(options.mount)) {
      const wanted = this.host.wanted(options.device);
      // A device that is gone can be told by its mount alone; one that is there and another is somebody else's.
      if (!isOf(found, wanted) && (wanted.number !== null || wanted.path !== null))
        throw failed(`${options.mount} is not unmounted: ${this.stranger(found, wanted, options)}`);
      ended.push(...(await this.unmount(context, found)));
      await this.assertGone(context, found);
    }
    return ended.length === 0 ? {} : { detail: { ended: ended.slice(0, NAMED).map(sentence), count: ended.length } };
  }

  async plan(op: Operation, { options }: Monitoring): Promise<readonly SideEffect[]> {
    const on = options.mount;
    const check = fsckCommand(options, options.device);
    if (op === 'start')
      return [
        ...(check === null ? [] : [{ kind: 'command' as const, what: check.join(' '), on: options.device }]),
        { kind: 'command', what: ['mount', ...mountWords(options)].join(' '), on },
      ];
    return op === 'stop' ? [{ kind: 'command', what: `umount ${on}`, on }] : [];
  }

  private at(directory: string): Mount | undefined {
    return mountAt(this.host.mounts(), directory);
  }

  private stranger(found: Mount, wanted: Wanted, { device, mount }: FilesystemOptions): string {
    return wanted.path === null && device.startsWith('/')
      ? `${device} is not there any more, and ${found.source} is mounted at ${mount}`
      : `${found.source} (${found.type}) is mounted at ${mount} instead of ${device}`;
  }

  /** The ladder: umount; then whoever is inside is asked, this group's own first, and at last killed. Returns who was ended. */
  private async unmount(context: Acting, mount: Mount): Promise<readonly User[]> {
    const { options, log, group } = context;
    const first = await this.tryUnmount(context, mount);
    if (first === null) return [];
    let users = this.host.users(mount);
    log.warn('a mount is still in use', { mount: mount.at, users: users.slice(0, NAMED).map(sentence), count: users.length });
    if (options.onBusy === 'fail') throw failed(`${mount.at} cannot be unmounted: ${first}; ${usersText(users)}`);
    const ended = new Map<number, User>();
    const own = (user: User) => user.group === group;
    for (const [name, wait, which] of [
      ['SIGTERM', options.grace, own],
      ['SIGTERM', options.grace, () => true],
      ['SIGKILL', 0, () => true],
    ] as const) {
      users = this.host.users(mount).filter((user) => which(user));
      this.signal(users, name, ended);
      const last = await this.untilUnmounted(context, mount, users.length === 0 ? 0 : wait);
      if (last === null) return [...ended.values()];
    }
    // Killed processes let go when the kernel has ended them, which may take its time.
    const reason = await this.untilUnmounted(context, mount, Math.max(1_000, options.grace));
    if (reason === null) return [...ended.values()];
    throw failed(`${mount.at} cannot be unmounted: ${reason}; ${usersText(this.host.users(mount))}`);
  }

  private signal(users: readonly User[], name: NodeJS.Signals, ended: Map<number, User>): void {
    const never = this.host.ours();
    for (const user of users) {
      if (never.has(user.pid)) continue;
      this.processes.signal(user, name);
      ended.set(user.pid, user);
    }
  }

  /** null when it is unmounted, else why not. */
  private async untilUnmounted(context: Acting, mount: Mount, forMs: number): Promise<string | null> {
    const endMs = this.clock.nowMs() + forMs;
    for (;;) {
      const reason = await this.tryUnmount(context, mount);
      if (reason === null || this.clock.nowMs() >= endMs) return reason;
      context.signal.throwIfAborted();
      await this.clock.sleep(LOOK_AGAIN_MS);
    }
  }

  private async tryUnmount({ run }: Acting, mount: Mount): Promise<string | null> {
    if (this.at(mount.at)?.id !== mount.id) return null;
    try {
      await run('umount', [mount.at]);
      return null;
    } catch (error) {
      return this.at(mount.at)?.id === mount.id ? reasonOf(error) : null;
    }
  }

  /** Unmounted here and alive in a container's namespace is not stopped: it goes on writing. */
  private async assertGone({ options, signal }: Acting, mount: Mount): Promise<void> {
    const endMs = this.clock.nowMs() + Math.min(2_000, options.grace);
    for (;;) {
      const left = this.host.elsewhere(mount);
      if (left.length === 0) return;
      if (this.clock.nowMs() >= endMs) throw failed(`${mount.source} is unmounted at ${mount.at} and not stopped: ${usersText(left)}`);
      signal.throwIfAborted();
      await this.clock.sleep(LOOK_AGAIN_MS);
    }
  }
}

const failed = (message: string): UnderstudyError => new UnderstudyError('AGENT_FAILED', message);

const wantsReadOnly = ({ options }: FilesystemOptions): boolean => options?.split(',').includes('ro') === true;

const mountWords = ({ device, mount, type, options }: FilesystemOptions): readonly string[] => [
  ...(type === undefined ? [] : ['-t', type]),
  ...(options === undefined ? [] : ['-o', options]),
  device,
  mount,
];

const sentence = ({ pid, command, how }: User): string => `${pid} ${command} (${how})`;

const usersText = (users: readonly User[]): string => {
  if (users.length === 0) return 'no process is seen inside: a mount below it, a swap file, an export or a loop device may use it';
  const more = users.length > NAMED ? ` and ${users.length - NAMED} more` : '';
  return `used by ${users.slice(0, NAMED).map(sentence).join(', ')}${more}`;
};
