// Powers a node off by an agent: `off` must end well, then `status` must say off (FenceAgentAPI.md of fence-agents: 0 is on, 2 is
// off, anything else is no answer). Invariants: confirmed is only what a status asked after this request's own `off` has said;
// options, and so secrets, go by stdin and nowhere else; every run has a deadline and is ended with its whole process group.
import {
  type FenceContext,
  type FenceDevice,
  type FenceRequest,
  reasonOf,
  type RunResult,
  Secret,
  UnderstudyError,
} from 'understudy/plugin';
import type { ExecFenceOptions } from './exec-fence.js';
import { type AgentMetadata, misfit, parseMetadata } from './metadata.js';

const ASK_MS = 30_000;
const AGAIN_MS = 2_000;
const AGAIN_MOST_MS = 30_000;
/** Exit status of `status`. */
const OFF = 2;
/** Of what an agent says people are shown so much. */
const SHOWN = 300;
const OUTPUT_BYTES = 256 * 1024;

export class ExecFenceDevice implements FenceDevice {
  private metadata: AgentMetadata | null = null;

  constructor(
    private readonly options: ExecFenceOptions,
    private readonly context: FenceContext,
  ) {}

  async fence({ node, signal, limitMs, tell }: FenceRequest): Promise<{ readonly evidence: string }> {
    const { clock } = this.context;
    const endMs = clock.nowMs() + limitMs;
    let last = 'nothing was asked yet';
    try {
      signal.throwIfAborted();
      const given = await this.given(node, signal);
      for (let pauseMs = AGAIN_MS; ; pauseMs = Math.min(AGAIN_MOST_MS, pauseMs * 2)) {
        const off = await this.ask('off', node, given, signal, Math.max(1, endMs - clock.nowMs()));
        last = off.words;
        if (off.exitCode === 0) {
          const status = await this.ask('status', node, given, signal, ASK_MS);
          last = `${off.words}; ${status.words}`;
          if (status.exitCode === OFF) return { evidence: last };
        }
        tell?.(last);
        signal.throwIfAborted();
        await clock.sleep(pauseMs, signal);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
      throw new UnderstudyError('TIMED_OUT', `${node} is not confirmed off by ${this.options.agent}: ${last}`, { cause: thrown });
    }
  }

  async check(signal: AbortSignal): Promise<string | null> {
    try {
      for (const { id: node } of this.context.nodes) {
        if (node === this.context.node || this.options.on[node] === undefined) continue;
        const given = await this.given(node, signal);
        // For many agents `monitor` without a plug lists what the device has; with one of a single node it may say "off" by 2.
        const { exitCode, words } = await this.ask('monitor', node, given, signal, ASK_MS);
        if (exitCode !== 0 && exitCode !== OFF) return `the device of ${node} cannot be reached: ${words}`;
      }
      return null;
    } catch (thrown) {
      return reasonOf(thrown);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The options for one node, checked. */
  private async given(node: string, signal: AbortSignal): Promise<Given> {
    const { options, on } = this.options;
    const own = on[node];
    if (node === this.context.node) throw this.refused(node, 'a node does not power itself off; it fences itself by its guard');
    if (own === undefined || Object.keys(own).length === 0)
      throw this.refused(node, `no options are given for it: on: { ${node}: { plug: … } }`);
    const twin = Object.entries(on).find(([other, some]) => other !== node && sameOptions(some, own));
    if (twin !== undefined)
      throw this.refused(node, `${twin[0]} has the very same options: one of the two would be powered off for the other`);
    const words = { ...options, ...own };
    const { parameters } = (this.metadata ??= await this.describe(signal));
    const wrong = misfit(this.metadata, Object.keys(words));
    if (wrong !== null) throw this.refused(node, wrong);
    // Some agents give a plug by the name of the node where none is named.
    const nodename = parameters.some(({ name }) => name === 'nodename') ? { nodename: node } : {};
    const secrets: Secret[] = [];
    const lines = Object.entries({ ...words, ...nodename }).map(([name, value]) => {
      if (!value.startsWith('file:')) return `${name}=${value}\n`;
      const secret = new Secret(value, `the secret ${name} in`);
      secrets.push(secret);
      return `${name}=${secret.reveal()}\n`;
    });
    return { lines: lines.join(''), secrets };
  }

  private async describe(signal: AbortSignal): Promise<AgentMetadata> {
    const { agent } = this.options;
    const { exitCode, stdout, words } = await this.ask('metadata', null, { lines: '', secrets: [] }, signal, ASK_MS);
    const found = parseMetadata(stdout);
    if (found === null)
      throw new UnderstudyError('COMMAND_FAILED', `${agent} does not describe itself (exit ${String(exitCode)}): ${words}`);
    return found;
  }

  /** Runs the agent once. Rejects with COMMAND_FAILED when there is no such program. */
  private async ask(action: string, node: string | null, { lines, secrets }: Given, signal: AbortSignal, limitMs: number): Promise<Answer> {
    const { agent, environment } = this.options;
    const { clock, run, log } = this.context;
    const result = await run(agent, [], {
      timeoutMs: Math.max(1, Math.ceil(limitMs)),
      signal,
      input: `action=${action}\n${lines}`,
      addEnv: environment,
      maxOutputBytes: OUTPUT_BYTES,
      trustedOnly: true,
    }).catch((thrown: unknown) => {
      signal.throwIfAborted();
      throw new UnderstudyError('COMMAND_FAILED', `the agent ${agent} cannot be run: ${reasonOf(thrown)}`, {
        cause: thrown,
        hint:
          agent.startsWith('/') && thrown instanceof UnderstudyError
            ? thrown.hint
            : 'Debian: apt-get install fence-agents; elsewhere name its absolute path.',
      });
    });
    const words = `${action} ${endOf(result)} at ${clock.wallIso()}${saidBy(result, secrets)}`;
    if (node !== null) log.debug('a fence agent was run', { agent, node, action, exitCode: result.exitCode });
    return { exitCode: result.timedOut || result.aborted ? null : result.exitCode, stdout: result.stdout, words: `${agent} ${words}` };
  }

  private refused(node: string, why: string): UnderstudyError {
    return new UnderstudyError('REFUSED', `fence exec (${this.options.agent}) does not power ${node} off: ${why}`);
  }
}

/** Lines for stdin, and what of them must never be shown. */
interface Given {
  readonly lines: string;
  readonly secrets: readonly Secret[];
}

interface Answer {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly words: string;
}

const endOf = ({ exitCode, signal, timedOut, aborted, elapsedMs }: RunResult): string =>
  timedOut || aborted
    ? `did not end within ${Math.round(elapsedMs)} ms and was killed`
    : exitCode === null
      ? `was ended by ${signal ?? 'a signal'}`
      : `ended with ${exitCode}`;

const saidBy = ({ stdout, stderr }: RunResult, secrets: readonly Secret[]): string => {
  const text = secrets.reduce((left, secret) => secret.hideIn(left), stdout.trim() || stderr.trim());
  const shown = text.replaceAll(/\s+/g, ' ');
  return shown === '' ? '' : ` ("${shown.slice(0, SHOWN)}")`;
};

const sameOptions = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, value]) => b[name] === value);
