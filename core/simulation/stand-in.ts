// A small controller for worlds that try the guard alone: it says what it wills, starts the group's application and address
// when the lease page allows it, and stops them when it is told to. Before each effect the page is asked, and between the two
// the process may be stopped. The real controller takes its place in whole-cluster worlds.
import { GuardClient } from '../guard/client.js';
import type { GroupId } from '../model/ids.js';
import type { GuardView } from '../model/lease.js';
import { guardSocket, hardStopList, leasePage } from '../system/paths.js';
import { type PageReader, openPageReader } from '../system/page-file.js';
import type { SimProcess } from './sim-process.js';
import { hardStopLines } from './hard-stop-list.js';
import type { FactKind } from './sim-os.js';

const CYCLE_MS = 250;
const PARTS: readonly FactKind[] = ['address', 'process'];

export interface StandInOptions {
  readonly group: GroupId;
  readonly members: readonly string[];
  readonly preempt: boolean;
  /** It takes the group for stopped, whatever is there. */
  readonly isHasty: () => boolean;
  /** The controller of this process, for operators. */
  readonly running: (process: SimProcess, client: GuardClient) => void;
}

export const startStandIn = (process: SimProcess, options: StandInOptions): void => {
  const { node, clock } = process;
  const files = node.disk.forProcess(process);
  const client = new GuardClient({
    sockets: node.sockets.forProcess(process),
    path: guardSocket(node.paths),
    clock,
    role: 'controller',
    pid: process.pid,
    startTime: String(process.pid),
  });
  const page = openPageReader(
    leasePage(node.paths, options.group),
    { bootId: node.bootId, monoNs: () => BigInt(Math.round(clock.nowMs() * 1e6)), bootOffsetMs: () => node.bootOffsetMs() },
    files,
  );
  const standIn = new StandIn(process, client, page, options);
  client.start();
  options.running(process, client);
  client.onView(() => standIn.cycle());
  clock.every(CYCLE_MS, () => standIn.cycle());
};

class StandIn {
  readonly #process: SimProcess;
  readonly #client: GuardClient;
  readonly #page: PageReader;
  readonly #options: StandInOptions;
  #busy = false;
  #saidMs = Number.NEGATIVE_INFINITY;
  #said = '';

  constructor(process: SimProcess, client: GuardClient, page: PageReader, options: StandInOptions) {
    this.#process = process;
    this.#client = client;
    this.#page = page;
    this.#options = options;
  }

  cycle(): void {
    const view = this.#client.view();
    if (view === null) return;
    const { group, members, preempt, isHasty } = this.#options;
    const { node, clock } = this.#process;
    const reading = this.#page.read();
    const leave = leaves(view, group, node.id);
    const there = node.os.facts(group);
    const gone = there.length === 0 || isHasty();
    const orders = view.groupOrders[group];
    if (!this.#busy && orders?.maintenance !== true) {
      if (leave !== null && (reading.held || reading.stopping) && !gone) this.#stop();
      else if (leave === null && reading.held && there.length < PARTS.length) this.#start(reading.epoch);
    }
    if (reading.held && orders?.move?.to === node.id) this.#done(orders.move.id);
    const want = reading.held && leave !== null && !this.#busy && gone ? 'release' : leave?.never === true ? 'none' : 'hold';
    const successor = want === 'release' ? (leave?.to ?? null) : null;
    const key = `${want} ${successor}`;
    if (key === this.#said && clock.nowMs() - this.#saidMs < 900) return;
    this.#said = key;
    this.#saidMs = clock.nowMs();
    this.#client.sendWills(
      [
        {
          group,
          want,
          rank: members.indexOf(node.id),
          blockers: [],
          preemptOk: preempt,
          successor,
          because: leave?.because ?? 'the group shall run',
        },
      ],
      0,
    );
  }

  #start(epoch: number): void {
    const { group } = this.#options;
    const { node, clock, chance } = this.#process;
    this.#busy = true;
    try {
      // Before the first effect.
      node.disk.write(hardStopList(node.paths, group), Buffer.from(PARTS.flatMap((kind) => hardStopLines(kind, group, kind)).join('\n')));
    } catch {
      // Without a list nothing may be started; the next cycle tries again.
      this.#busy = false;
      return;
    }
    const next = (left: readonly FactKind[]): void => {
      const [kind, ...rest] = left;
      const reading = this.#page.read();
      if (kind === undefined || !reading.held || reading.epoch !== epoch) {
        this.#busy = false;
        return;
      }
      const checkedMs = node.world.nowMs;
      // Here it may be stopped: between the check and the effect.
      this.#process.systemCall();
      this.#process.act(() => node.os.begin(group, kind, epoch, 'the controller', kind, checkedMs));
      clock.after(chance.heavyTail(5, 2_000), () => next(rest));
    };
    next(PARTS.filter((kind) => !node.os.has(group, kind)));
  }

  #stop(): void {
    const { group } = this.#options;
    const { node, clock, chance } = this.#process;
    this.#busy = true;
    const next = (left: readonly FactKind[]): void => {
      const [kind, ...rest] = left;
      if (kind === undefined) {
        this.#busy = false;
        return this.cycle();
      }
      clock.after(chance.heavyTail(5, 2_000), () => {
        // A stop that fails is tried again by the next cycle.
        if (node.os.end(group, kind, 'the controller')) next(rest);
        else this.#busy = false;
      });
    };
    next([...PARTS].reverse());
  }

  /** Whoever has acquired removes the move; one that cannot be removed now is removed later. */
  #done(move: string): void {
    const { group } = this.#options;
    this.#client.orders({ key: 'group', group, set: { removeMove: move } }).then(
      () => undefined,
      () => undefined,
    );
  }
}

/** Why the group shall not run here, and where it shall; null when it may. */
const leaves = (view: GuardView, group: GroupId, self: string): { to: string | null; because: string; never?: boolean } | null => {
  const orders = view.groupOrders[group];
  if (orders?.want === 'offline') return { to: null, because: 'ordered offline', never: true };
  if (orders?.move != null && orders.move.to !== self) return { to: orders.move.to, because: `moves to ${orders.move.to}` };
  if (view.nodeOrders[self]?.standby === true) return { to: null, because: 'this node is in standby', never: true };
  return null;
};
