// What the demo does in its lab, each with a deadline and an end when it is interrupted: orders by the CLI of the nodes
// themselves, a client that counts answers, and waiting for what was promised.
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { LabClient } from '../lab/client.js';
import type { LabStatus } from '../lab/lab.js';
import type { Gap, ProbeReport } from '../lab/gap-meter.js';
import { LAB_GROUP } from '../lab/lab-config.js';
import { systemClock } from '../system/clock.js';

const POLL_MS = 200;
const PROBE_EVERY_MS = 5;
const PROBE_LIMIT_MS = 600_000;

/** What the demo needs of `understudy status --json`. */
interface GroupView {
  readonly id: string;
  readonly state: string;
  readonly active: string | null;
  readonly because: string;
  readonly standbys: readonly { readonly node: string; readonly ready: boolean; readonly blockers: readonly string[] }[];
}

export class DemoClient {
  /** Changes of node that the client saw and nobody asked for yet. */
  #gaps: Gap[] = [];
  #report: ProbeReport | null = null;
  #trouble = 'no answer yet';

  private constructor(
    private readonly lab: LabClient,
    private readonly status: LabStatus,
    private readonly signal: AbortSignal,
    private readonly say: (text: string) => void,
  ) {}

  static async open(lab: LabClient, signal: AbortSignal, say: (text: string) => void): Promise<DemoClient> {
    const client = new DemoClient(lab, await lab.ask({ op: 'status' }), signal, say);
    lab
      .ask(
        {
          op: 'probe',
          plan: {
            kind: 'http',
            port: client.status.topology.ports[0] ?? 0,
            everyMs: PROBE_EVERY_MS,
            forMs: PROBE_LIMIT_MS,
            noteGapMs: 1000,
          },
        },
        PROBE_LIMIT_MS,
        (message) => {
          if (message.t === 'gap' && message.gap.before !== message.gap.after) client.#gaps.push(message.gap);
          if (message.t === 'tally') client.#report = message.report;
        },
      )
      // The end of the lab ends it, and that is no news.
      .catch((thrown: unknown) => (client.#trouble = reasonOf(thrown)));
    return client;
  }

  /** The floating address, and how clients reach it where that is another. */
  get address(): string {
    const [floating = ''] = this.status.topology.floating;
    return floating === this.status.clientAddress ? floating : `${floating} (clients use ${this.status.clientAddress})`;
  }

  other(node: string): string {
    return this.status.topology.hosts.find((host) => host.node !== node)?.node ?? node;
  }

  async fault(...words: readonly string[]): Promise<void> {
    this.#gaps = [];
    this.say(await this.lab.ask({ op: 'fault', words }));
  }

  /** The output of `understudy WORDS` typed on a node. Rejects with what it said when it failed. */
  async understudy(node: string, ...words: readonly string[]): Promise<string> {
    const done = await this.lab.ask({ op: 'exec', node, argv: ['understudy', ...words], timeoutMs: 90_000 }, 100_000);
    if (done.exitCode === 0) return done.stdout;
    throw new UnderstudyError(
      'LAB_FAILED',
      `understudy ${words.join(' ')} on ${node}: ${(done.stderr || done.stdout).trim() || `exit ${done.exitCode}`}`,
    );
  }

  /** Resolves to the node on which the group is online. */
  activeNode(limitMs: number): Promise<string> {
    return this.#until(`group ${LAB_GROUP} online`, limitMs, async () => {
      for (const { node } of await this.#poweredOn()) {
        const group = await this.#group(node);
        if (group?.state === 'online' && group.active === node) return node;
      }
      return null;
    });
  }

  async standbyReady(active: string, standby: string, limitMs: number): Promise<void> {
    await this.#until(`${standby} ready to take over`, limitMs, async () => {
      const found = (await this.#group(active))?.standbys.find(({ node }) => node === standby);
      if (found) this.#trouble = found.blockers.join('; ');
      return found?.ready ? true : null;
    });
  }

  /** Moves the group as an operator would: a standby that is not ready just now (a busy machine) is waited for, and asked again. */
  async switchover(active: string, standby: string, words: readonly string[], limitMs: number): Promise<void> {
    await this.#until(`${standby} to take the group`, limitMs, async () => {
      await this.standbyReady(active, standby, limitMs);
      try {
        await this.understudy(active, ...words);
        return true;
      } catch (thrown) {
        this.#trouble = reasonOf(thrown);
        return null;
      }
    });
  }

  /** Waits until the client was answered by `node` for `forMs`, and says how often. */
  async count(node: string, forMs: number, limitMs: number): Promise<void> {
    const from = await this.#until(`an answer of ${node} to the client`, limitMs, async () => this.#report?.answersByNode[node] ?? null);
    await systemClock.sleep(forMs, this.signal);
    const answers = (this.#report?.answersByNode[node] ?? 0) - from;
    this.say(`the client asks every ${PROBE_EVERY_MS} ms: ${answers} answers from ${node} in ${forMs / 1000} s`);
  }

  /** The gap that ended with the first answer of `node`. */
  gapTo(node: string, limitMs: number): Promise<Gap> {
    return this.#until(`an answer of ${node} to the client`, limitMs, async () => this.#gaps.find(({ after }) => after === node) ?? null);
  }

  async summary(): Promise<{ overlaps: number; sweeps: number; answered: number; byNode: Readonly<Record<string, number>> }> {
    const { observer } = await this.lab.ask({ op: 'status' });
    return {
      overlaps: observer?.overlaps.length ?? 0,
      sweeps: observer?.sweeps ?? 0,
      answered: this.#report?.answered ?? 0,
      byNode: this.#report?.answersByNode ?? {},
    };
  }

  async #poweredOn(): Promise<LabStatus['hosts']> {
    return (await this.lab.ask({ op: 'status' })).hosts.filter(({ power }) => power);
  }

  /** null while the node's daemon does not answer. */
  async #group(node: string): Promise<GroupView | null> {
    const done = await this.lab.ask({ op: 'exec', node, argv: ['understudy', 'status', '--json'], timeoutMs: 10_000 });
    if (done.exitCode !== 0) {
      this.#trouble = done.stderr.trim() || `understudy status on ${node} ended with ${done.exitCode}`;
      return null;
    }
    const view = JSON.parse(done.stdout) as { readonly groups: readonly GroupView[] };
    const group = view.groups.find(({ id }) => id === LAB_GROUP) ?? null;
    if (group) this.#trouble = `${node}: ${group.state}: ${group.because}`;
    return group;
  }

  async #until<T>(what: string, limitMs: number, look: () => Promise<T | null>): Promise<T> {
    const endMs = systemClock.nowMs() + limitMs;
    for (;;) {
      this.signal.throwIfAborted();
      const found = await look();
      if (found !== null) return found;
      if (systemClock.nowMs() > endMs)
        throw new UnderstudyError('TIMED_OUT', `not within ${limitMs / 1000} s: ${what}; last seen: ${this.#trouble}`);
      await systemClock.sleep(POLL_MS, this.signal);
    }
  }
}
