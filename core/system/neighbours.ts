// Tells and asks the neighbours on Linux: raw frames where koffi and the right are there, else `arping` and `ndsend`.
// Interfaces without neighbours (loopback, no hardware address) have nobody to tell, which is no error.
import { isIPv4 } from 'node:net';
import { UnderstudyError } from '../errors/errors.js';
import type { Clock } from './clock.js';
import type { Exec, RunResult } from './exec.js';
import { announcements, claimant, probe } from './neighbour-frames.js';
import { type OpenRaw, rawSockets } from './raw-socket.js';

/** Between two announcements of one address. */
const SPACING_MS = 100;
const LISTEN_MS = 5;
const COMMAND_MS = 5000;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const LOOPBACK = 'lo';

export class Neighbours {
  constructor(
    private readonly exec: Exec,
    private readonly clock: Clock,
    private readonly raw: () => Promise<OpenRaw | string> = rawSockets,
  ) {}

  /** Loads what announcing needs, so that the first announcement of a failover does not pay for it. */
  async prepare(): Promise<void> {
    await this.raw();
  }

  async announce(interfaceName: string, address: string, count: number, signal?: AbortSignal): Promise<void> {
    const opened = await this.open(interfaceName, isIPv4(address) ? ARP : IPV6);
    if (typeof opened === 'string') return this.announceByCommand(interfaceName, address, count, opened, signal);
    const { mac } = opened;
    try {
      if (mac === null) return;
      for (let left = count; left > 0; left--) {
        for (const frame of announcements(mac, address)) opened.send(frame);
        if (left > 1) await this.clock.sleep(SPACING_MS, signal);
      }
    } finally {
      opened.close();
    }
  }

  async owner(interfaceName: string, address: string, waitMs: number, signal?: AbortSignal): Promise<string | null> {
    if (!isIPv4(address)) return null;
    const opened = await this.open(interfaceName, ARP);
    if (typeof opened === 'string') return this.ownerByCommand(interfaceName, address, waitMs, opened, signal);
    const { mac } = opened;
    try {
      if (mac === null) return null;
      const endMs = this.clock.nowMs() + waitMs;
      opened.send(probe(mac, address));
      for (;;) {
        for (let frame = opened.receive(); frame !== null; frame = opened.receive()) {
          const claims = claimant(frame, mac, address);
          if (claims !== null) return claims;
        }
        if (this.clock.nowMs() >= endMs) return null;
        await this.clock.sleep(LISTEN_MS, signal);
      }
    } finally {
      opened.close();
    }
  }

  private async open(interfaceName: string, etherType: number) {
    const open = await this.raw();
    if (typeof open === 'string') return open;
    try {
      return open(interfaceName, etherType);
    } catch (problem) {
      return problem instanceof Error ? problem.message : String(problem);
    }
  }

  private async announceByCommand(
    interfaceName: string,
    address: string,
    count: number,
    noRaw: string,
    signal?: AbortSignal,
  ): Promise<void> {
    if (interfaceName === LOOPBACK) return;
    const [program, args] = announceCommand(interfaceName, address, count);
    const result = await this.command(program, args, noRaw, COMMAND_MS + count * 1000, signal);
    if (result.exitCode !== 0)
      throw unannounced(interfaceName, address, `${program}: ${result.stderr.trim() || `status ${result.exitCode}`}`);
  }

  private async ownerByCommand(
    interfaceName: string,
    address: string,
    waitMs: number,
    noRaw: string,
    signal?: AbortSignal,
  ): Promise<string | null> {
    if (interfaceName === LOOPBACK) return null;
    const args = ['-D', '-c', '1', '-w', String(Math.ceil(waitMs / 1000)), '-I', interfaceName, address];
    const result = await this.command('arping', args, noRaw, COMMAND_MS + waitMs, signal);
    if (result.exitCode === 0) return null;
    const mac = /\[([0-9A-Fa-f:]{17})\]/.exec(result.stdout)?.[1];
    if (result.exitCode === 1) return mac?.toLowerCase() ?? 'an unknown host';
    throw new UnderstudyError('COMMAND_FAILED', `asking for the owner of ${address} on ${interfaceName}: arping: ${result.stderr.trim()}`);
  }

  private async command(
    program: string,
    args: readonly string[],
    noRaw: string,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<RunResult> {
    try {
      return await this.exec.run(program, args, { timeoutMs, ...(signal ? { signal } : {}) });
    } catch (problem) {
      const packages = program === 'arping' ? 'iputils-arping' : 'vzctl (ndsend)';
      throw new UnderstudyError(
        'COMMAND_FAILED',
        `neighbours on ${args.at(-1)} cannot be reached: ${noRaw}; and ${program} is not installed`,
        {
          cause: problem,
          hint: `Run \`npm install koffi\` beside understudy and give it CAP_NET_RAW, or install ${packages}.`,
        },
      );
    }
  }
}

/** What announces an address where raw frames cannot be sent. */
export const announceCommand = (interfaceName: string, address: string, count: number): readonly [string, readonly string[]] =>
  isIPv4(address) ? ['arping', ['-U', '-c', String(count), '-I', interfaceName, address]] : ['ndsend', [address, interfaceName]];

const unannounced = (interfaceName: string, address: string, why: string) =>
  new UnderstudyError('COMMAND_FAILED', `announcing ${address} on ${interfaceName}: ${why}`);
