// Simulated agents, written against the public plugin contract and given to the real scheduler: an application, an address,
// a promotable copy. What they do is done to the simulated host by children of their own, which live on when the controller
// dies, as scripts do. Faults of scripts and plugins (SAFETY c.3) are switches of one resource on one node.
import type { Epoch, GroupId, ResourceId } from '../model/ids.js';
import type { ActionContext, ActionReport, Agent, AgentDefinition, MonitorContext, MonitorResult } from '../plugin/contract.js';
import { z } from '../config/fields.js';
import { hardStopLines } from './hard-stop-list.js';
import type { FactKind } from './sim-os.js';
import type { SimProcess } from './sim-process.js';

/** What a simulated resource is and how long it takes. Milliseconds. */
export interface SimResource {
  /** What of it an observer outside of the host sees; null: nothing (a NIC that is only watched). */
  readonly shows: FactKind | null;
  readonly startMs: number;
  readonly stopMs: number;
  readonly monitorMs: number;
  /** An agent that is not simulated, in the place of what this says. */
  readonly real?: RealAgent;
}

/** A production agent with the simulated host behind its doors. */
export interface RealAgent {
  readonly definition: AgentDefinition;
  agent(process: SimProcess): Agent;
}

export interface Misbehaviour {
  readonly start?: 'fails' | 'hangs' | 'lies' | 'slow' | 'dies soon';
  readonly stop?: 'fails' | 'hangs' | 'lies' | 'leaves a child';
  readonly monitor?: 'hangs' | 'throws' | 'throws at once' | 'answers garbage' | 'flaps' | 'is slow';
  /** Of any call: holds the controller's loop, ends its process, or is paused between its last check and its effect. */
  readonly call?: 'blocks' | 'exits' | 'is paused before its effect';
}

export const WELL: Misbehaviour = {};

/** What all resources of one node do now, by `group/resource`; outlives controllers and boots. */
export class SimResources {
  readonly #kinds: ReadonlyMap<string, SimResource>;
  readonly #now = new Map<string, Misbehaviour>();
  readonly #ever = new Set<string>();

  /** By resource type. */
  constructor(kinds: ReadonlyMap<string, SimResource>) {
    this.#kinds = kinds;
  }

  misbehave(group: GroupId, resource: ResourceId, how: Misbehaviour): void {
    // A monitor that says nothing says nothing wrong.
    if (how.monitor !== 'is slow' && how.monitor !== 'hangs') this.#ever.add(`${group}/${resource}`);
    this.#now.set(`${group}/${resource}`, how);
  }

  heal(): void {
    this.#now.clear();
  }

  of(group: GroupId, resource: ResourceId): Misbehaviour {
    return this.#now.get(`${group}/${resource}`) ?? WELL;
  }

  /** It has always told the truth, and done what it was told. */
  isHonest(group: GroupId, resource: ResourceId): boolean {
    return !this.#ever.has(`${group}/${resource}`);
  }

  kind(type: string): SimResource | undefined {
    return this.#kinds.get(type);
  }

  get types(): readonly string[] {
    return [...this.#kinds.keys()];
  }
}

const BLOCKED_MS = 30_000;
/** From the SIGTERM of an abort to the SIGKILL of everything in the cgroup. */
const KILL_AGAIN_MS = 50;

/** Everything of `resource` in its cgroup: itself, its start script, what it forked. */
export const childrenKey = (resource: ResourceId, what: 'start' | 'child'): string => `${resource}:${what}`;

export class SimAgent implements Agent {
  readonly #process: SimProcess;
  readonly #resources: SimResources;
  readonly #type: string;
  /** Only of an address: an application is not put right, it is restarted. */
  readonly reassert?: NonNullable<Agent['reassert']>;
  #flip = false;

  constructor(process: SimProcess, resources: SimResources, type: string) {
    this.#process = process;
    this.#resources = resources;
    this.#type = type;
    if (this.#kind.shows === 'address') this.reassert = (context) => this.#reassert(context);
  }

  async monitor(context: MonitorContext<unknown>): Promise<MonitorResult> {
    const { group, resource, signal } = context;
    const { monitor, call } = this.#resources.of(group, resource);
    this.#misbehave(call);
    if (monitor === 'hangs') await this.#never();
    const { monitorMs } = this.#kind;
    await this.#takes(monitor === 'is slow' ? monitorMs + 3 * context.limitMs * this.#process.chance.next() : monitorMs, signal);
    if (monitor === 'throws') throw new Error('the monitor could not ask');
    if (monitor === 'answers garbage') return (this.#process.chance.happens(0.5) ? { state: 'banana' } : undefined) as never;
    if (monitor === 'flaps') {
      this.#flip = !this.#flip;
      if (this.#flip) return { state: 'faulted', reason: 'the monitor flaps' };
    }
    return this.#seen(group, resource);
  }

  async start(context: ActionContext<unknown>): Promise<ActionReport | void> {
    const { group, resource, epoch, checkLease, signal } = context;
    const { start, call } = this.#resources.of(group, resource);
    const { shows, startMs } = this.#kind;
    this.#misbehave(call);
    checkLease();
    if (shows === null) return;
    const takesMs = start === 'slow' ? startMs + context.limitMs * this.#process.chance.between(0.5, 1.5) : startMs;
    if (shows !== 'process') {
      // One call to the kernel: nothing of it is left when the controller dies before it.
      await this.#takes(takesMs, signal);
      checkLease();
      this.#betweenCheckAndEffect(call);
      if (start === 'fails') throw new Error('it could not be started');
      if (start !== 'lies') this.#begin(group, shows, resource, epoch, 'start');
      return;
    }
    // SAFETY a.6, adoption: what runs is never started again. Whoever was lied to cannot know what runs.
    if (this.#there(group, 'process', resource) && this.#resources.isHonest(group, resource))
      this.#process.node.world.violate('adoption', `${this.#process.node.id} starts ${group}/${resource}, which runs there already`);
    const started = this.#child(group, resource, epoch, start === 'hangs' ? Number.POSITIVE_INFINITY : takesMs, start ?? 'well');
    await this.#outcome(started, signal, () => this.#killAll(group, resource));
    if (start === 'fails') throw new Error('the start script exited with 1');
    if (start !== 'lies' && !this.#there(group, 'process', resource)) throw new Error('it ended while it was starting');
  }

  async stop(context: ActionContext<unknown>): Promise<ActionReport | void> {
    const { group, resource, signal, limitMs } = context;
    const { stop, call } = this.#resources.of(group, resource);
    const { shows, stopMs } = this.#kind;
    this.#misbehave(call);
    if (shows === null) return;
    if (stop === 'fails') throw new Error('the stop script exited with 1');
    // What a stop script leaves is killed with its cgroup when its own time is over, before the deadline of the call.
    if (stop === 'hangs' && this.#process.chance.happens(0.5)) await this.#never();
    await this.#takes(stop === 'hangs' ? limitMs * 0.8 : stopMs, signal);
    if (stop === 'lies') return;
    if (shows !== 'process') {
      this.#os.end(group, shows, 'stop', resource);
      return;
    }
    if (stop === 'leaves a child') this.#leaveChild(group, resource);
    for (let leftMs = limitMs * 0.15; !this.#killAll(group, resource) && leftMs > 0; leftMs -= KILL_AGAIN_MS)
      await this.#takes(KILL_AGAIN_MS, signal);
    if (this.#anything(group, resource)) throw new Error('something of it cannot be killed');
  }

  async promote(context: ActionContext<unknown>): Promise<void> {
    const { group, resource, epoch, checkLease, signal } = context;
    checkLease();
    await this.#takes(this.#kind.startMs, signal);
    checkLease();
    this.#begin(group, 'export', resource, epoch, 'promote');
  }

  async demote({ group, resource, signal }: ActionContext<unknown>): Promise<void> {
    await this.#takes(this.#kind.stopMs, signal);
    this.#os.end(group, 'export', 'demote', resource);
  }

  /** What is being stopped forks once more: of its epoch, and no start of anybody's. */
  #leaveChild(group: GroupId, resource: ResourceId): void {
    const parent = this.#os.facts(group).find(({ kind, key }) => kind === 'process' && key === resource);
    if (parent !== undefined)
      this.#begin(group, 'process', childrenKey(resource, 'child'), parent.epoch, 'a double fork', parent.checkedMs);
  }

  async #reassert({ group, resource, epoch, checkLease, signal }: ActionContext<unknown>): Promise<void> {
    await this.#takes(this.#kind.startMs, signal);
    checkLease();
    this.#betweenCheckAndEffect(this.#resources.of(group, resource).call);
    this.#begin(group, 'address', resource, epoch, 'reassert');
  }

  get #kind(): SimResource {
    const kind = this.#resources.kind(this.#type);
    if (kind === undefined) throw new Error(`there is no simulated ${this.#type}`);
    return kind;
  }

  get #os() {
    return this.#process.node.os;
  }

  #seen(group: GroupId, resource: ResourceId): MonitorResult {
    const { shows } = this.#kind;
    if (shows === null) return { state: 'online' };
    if (shows === 'export') return { state: 'online', role: this.#there(group, 'export', resource) ? 'primary' : 'secondary' };
    if (!this.#there(group, shows, resource)) return { state: this.#anything(group, resource) ? 'faulted' : 'offline' };
    return { state: 'online' };
  }

  #there(group: GroupId, kind: FactKind, key: string): boolean {
    return this.#os.has(group, kind, key);
  }

  #anything(group: GroupId, resource: ResourceId): boolean {
    return [resource, childrenKey(resource, 'start'), childrenKey(resource, 'child')].some((key) => this.#there(group, 'process', key));
  }

  /** Whoever calls has just looked at the page, and may have been stopped since: then the effect comes that much later. */
  #begin(group: GroupId, kind: FactKind, key: string, epoch: Epoch, by: string, checkedMs = this.#process.node.world.nowMs): void {
    this.#process.act(() => this.#os.begin(group, kind, epoch, by, key, checkedMs));
  }

  #killAll(group: GroupId, resource: ResourceId): boolean {
    for (const key of [childrenKey(resource, 'start'), resource, childrenKey(resource, 'child')])
      this.#os.end(group, 'process', 'a kill of its cgroup', key);
    return !this.#anything(group, resource);
  }

  /** The start script: a process of the host. Its exit is told only to a controller that still lives. */
  #child(
    group: GroupId,
    resource: ResourceId,
    epoch: Epoch,
    takesMs: number,
    how: NonNullable<Misbehaviour['start']> | 'well',
  ): Promise<void> {
    const key = childrenKey(resource, 'start');
    const { node } = this.#process;
    const { world, boot } = node;
    const checkedMs = world.nowMs;
    this.#begin(group, 'process', key, epoch, 'start');
    return new Promise((resolve, reject) => {
      if (!Number.isFinite(takesMs)) return;
      world.at(this.#process.trueMs + takesMs, () => {
        // Killed meanwhile, with its cgroup or with its host; another script of the same resource is not this one.
        const script = this.#os.fact(group, 'process', key);
        const alive = node.powered && node.boot === boot && script?.epoch === epoch && script.checkedMs === checkedMs;
        if (alive && how !== 'fails' && how !== 'lies') this.#os.begin(group, 'process', epoch, 'its start script', resource, checkedMs);
        if (alive) this.#os.end(group, 'process', 'its exit', key);
        if (alive && how === 'dies soon') world.after(200, () => this.#os.end(group, 'process', 'a crash', resource));
        this.#process.enqueue('socket', 0.5, alive ? resolve : () => reject(new Error('the start script was killed')));
      });
    });
  }

  /** Waits for a child; an abort kills what it started before it rejects. */
  #outcome(child: Promise<void>, signal: AbortSignal, kill: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        kill();
        reject(signal.reason as Error);
      };
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      child.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    });
  }

  #takes(ms: number, signal: AbortSignal): Promise<void> {
    return this.#process.clock.sleep(ms, signal);
  }

  /** The process is not scheduled for a while, and then goes on as if nothing had been. */
  #betweenCheckAndEffect(call: Misbehaviour['call']): void {
    if (call === 'is paused before its effect') this.#process.stall(this.#process.chance.heavyTail(20, 20_000));
  }

  #never(): Promise<never> {
    return new Promise(() => undefined);
  }

  #misbehave(call: Misbehaviour['call']): void {
    if (call === 'blocks') this.#process.stall(BLOCKED_MS);
    if (call === 'exits') this.#process.kill();
  }
}

/** The definition behind a simulated type: what is on its hard-stop list. */
export const simDefinition = (kind: SimResource): AgentDefinition =>
  kind.real?.definition ?? {
    summary: 'simulated',
    options: z.unknown(),
    hardStop: ({ group, resource }) => hardStopLines(kind.shows, group, resource),
    agent: () => Promise.reject(new Error('a simulated agent is made for one controller')),
  };
