// The addresses of a Linux host. Reading is in the process (45 µs; interfaces that are up), changing is by `ip` (about 3 ms),
// and one `ip monitor` child for the whole process tells of changes. What is removed is looked for on interfaces that are
// down as well: `remove` ends well only when no interface of the host has the address.
import { isIPv4 } from 'node:net';
import { inject, injectable } from 'tsyringe';
import { UnderstudyError } from '../errors/errors.js';
import { type AddOptions, Addresses, type HostAddress, sameAddress } from './addresses.js';
import { AddressMonitor } from './address-monitor.js';
import { Clock } from './clock.js';
import { Exec } from './exec.js';
import { listHostAddresses, readHostAddresses } from './host-addresses.js';
import { announceCommand, Neighbours } from './neighbours.js';

const COMMAND_MS = 5000;
/** IFNAMSIZ without the closing zero: the kernel cuts or refuses more. */
const MAX_LABEL = 15;

@injectable()
export class LinuxAddresses implements Addresses {
  private readonly neighbours: Neighbours;
  private readonly monitor: AddressMonitor;

  constructor(
    @inject(Exec) private readonly exec: Exec,
    @inject(Clock) clock: Clock,
  ) {
    this.neighbours = new Neighbours(exec, clock);
    this.monitor = new AddressMonitor(clock);
  }

  async list(): Promise<readonly HostAddress[]> {
    return listHostAddresses();
  }

  async add(interfaceName: string, address: string, prefixLength: number, options: AddOptions = {}, signal?: AbortSignal): Promise<void> {
    const args = addArgs(interfaceName, address, prefixLength, options);
    const has = (await this.list()).some(
      (entry) => entry.interface === interfaceName && entry.prefixLength === prefixLength && sameAddress(entry.address, address),
    );
    if (!has) await this.ip(args, signal);
  }

  async remove(address: string, signal?: AbortSignal): Promise<void> {
    const matches = (entry: HostAddress) => sameAddress(entry.address, address);
    const delAll = (found: readonly HostAddress[]) => Promise.all(found.map((entry) => this.ip(delArgs(entry), signal, [0, GONE_STATUS])));
    await delAll(listHostAddresses().filter(matches));
    // Interfaces that are down are asked for only where there are any: a command more, in the way of a planned move.
    if (!readHostAddresses().whole) await delAll((await this.listAll(signal)).filter(matches));
    const left = listHostAddresses().filter(matches);
    if (left.length === 0) return;
    const where = left.map((entry) => entry.interface).join(', ');
    throw new UnderstudyError('COMMAND_FAILED', `${address} was removed but is on ${where} again: something else on this host adds it`, {
      hint: 'Take the address out of the network configuration of this host.',
    });
  }

  announce(interfaceName: string, address: string, count: number, signal?: AbortSignal): Promise<void> {
    return this.neighbours.announce(interfaceName, address, count, signal);
  }

  owner(interfaceName: string, address: string, waitMs: number, signal?: AbortSignal): Promise<string | null> {
    return this.neighbours.owner(interfaceName, address, waitMs, signal);
  }

  prepareToAnnounce(): void {
    void this.neighbours.prepare();
  }

  watch(changed: () => void): () => void {
    return this.monitor.watch(changed);
  }

  describe(op: 'add' | 'remove' | 'announce', interfaceName: string, address: string, prefixLength: number): string {
    if (op === 'add') return ['ip', ...addArgs(interfaceName, address, prefixLength, {})].join(' ');
    if (op === 'remove') return ['ip', ...delArgs({ interface: interfaceName, address, prefixLength })].join(' ');
    const [program, args] = announceCommand(interfaceName, address, 1);
    return [program, ...args].join(' ');
  }

  hardStopLine(interfaceName: string, address: string, prefixLength: number): string {
    return `addr ${interfaceName} ${address}/${prefixLength}`;
  }

  /** Also on interfaces that are down, which the in-process read leaves out. */
  private async listAll(signal?: AbortSignal): Promise<readonly HostAddress[]> {
    return parseIpJson(await this.ip(['-j', 'address', 'show'], signal));
  }

  private async ip(args: readonly string[], signal?: AbortSignal, okStatus: readonly number[] = [0]): Promise<string> {
    const limits = { timeoutMs: COMMAND_MS, maxOutputBytes: 4 * 1024 * 1024, ...(signal ? { signal } : {}) };
    const result = await this.exec.run('ip', args, limits).catch((cause) => {
      throw new UnderstudyError('COMMAND_FAILED', `ip ${args.join(' ')} could not be run`, { cause, hint: 'Install iproute2.' });
    });
    if (result.exitCode !== null && okStatus.includes(result.exitCode) && !result.truncated) return result.stdout;
    const why = result.timedOut
      ? `no end after ${COMMAND_MS} ms`
      : result.aborted
        ? 'aborted'
        : result.stderr.trim() || `status ${result.exitCode}`;
    throw new UnderstudyError(result.timedOut ? 'TIMED_OUT' : 'COMMAND_FAILED', `ip ${args.join(' ')}: ${why}`);
  }
}

/** `ip address del` of what is not there; whether it really is gone is read afterwards. */
const GONE_STATUS = 2;

/** `replace`: no error when another hand was faster. `nodad`: the lease says who has it; a tentative address serves nobody. */
export const addArgs = (
  interfaceName: string,
  address: string,
  prefixLength: number,
  { label, noPrefixRoute }: AddOptions,
): readonly string[] => [
  'address',
  'replace',
  `${address}/${prefixLength}`,
  'dev',
  interfaceName,
  ...(label !== undefined && isIPv4(address) ? ['label', fullLabel(interfaceName, label)] : []),
  ...(isIPv4(address) ? [] : ['nodad']),
  ...(noPrefixRoute ? ['noprefixroute'] : []),
];

const delArgs = ({
  interface: name,
  address,
  prefixLength,
}: Pick<HostAddress, 'interface' | 'address' | 'prefixLength'>): readonly string[] => [
  'address',
  'del',
  `${address}/${prefixLength}`,
  'dev',
  name,
];

/** A label begins with its interface, or old tools do not find it. */
const fullLabel = (interfaceName: string, label: string): string => {
  const full = label.startsWith(`${interfaceName}:`) ? label : `${interfaceName}:${label}`;
  if (full.length <= MAX_LABEL) return full;
  throw new UnderstudyError('COMMAND_FAILED', `the label ${full} has ${full.length} characters; Linux takes ${MAX_LABEL}`, {
    hint: `Use at most ${MAX_LABEL - interfaceName.length - 1} characters for the label on ${interfaceName}.`,
  });
};

/** The answer of `ip -j address show`. */
export const parseIpJson = (text: string): readonly HostAddress[] => {
  const links = JSON.parse(text) as readonly {
    ifname?: string;
    addr_info?: readonly { local?: string; prefixlen?: number; label?: string }[];
  }[];
  return links.flatMap(({ ifname, addr_info: found = [] }) =>
    found.flatMap(({ local, prefixlen, label }) =>
      ifname === undefined || local === undefined || prefixlen === undefined
        ? []
        : [{ interface: ifname, address: local, prefixLength: prefixlen, label: label === undefined || label === ifname ? null : label }],
    ),
  );
};
