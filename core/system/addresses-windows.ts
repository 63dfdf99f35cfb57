// The addresses of a Windows host. Reading is in the process; changing is by PowerShell's NetTCPIP commands, built here as
// text and tested as text. SkipAsSource keeps outgoing connections off the floating address. `store active` = not kept over
// a reboot: a host that comes back must not come back with the address.
import { networkInterfaces } from 'node:os';
import { inject, injectable } from 'tsyringe';
import { UnderstudyError } from '../errors/errors.js';
import { type Addresses, type HostAddress, sameAddress } from './addresses.js';
import { Clock } from './clock.js';
import { Exec } from './exec.js';

const COMMAND_MS = 15_000;
/** There is no cheap way to be told; the in-process read costs some 50 µs. */
const WATCH_MS = 500;

@injectable()
export class WindowsAddresses implements Addresses {
  constructor(
    @inject(Exec) private readonly exec: Exec,
    @inject(Clock) private readonly clock: Clock,
  ) {}

  async list(): Promise<readonly HostAddress[]> {
    return Object.entries(networkInterfaces()).flatMap(([name, found]) =>
      (found ?? []).map(({ address, cidr }) => ({ interface: name, address, prefixLength: Number(cidr?.split('/')[1] ?? 0), label: null })),
    );
  }

  async add(interfaceName: string, address: string, prefixLength: number, _options?: object, signal?: AbortSignal): Promise<void> {
    const has = (await this.list()).some((entry) => entry.interface === interfaceName && sameAddress(entry.address, address));
    if (!has) await this.powershell(addCommand(interfaceName, address, prefixLength), signal);
  }

  async remove(address: string, signal?: AbortSignal): Promise<void> {
    // Unconditionally: an address on a disabled interface is not in the list, and would come back with it.
    await this.powershell(removeCommand(address), signal);
  }

  /** Windows announces a new address by itself (ArpRetryCount gratuitous ARP; unsolicited advertisements). */
  async announce(): Promise<void> {}

  watch(changed: () => void): () => void {
    const read = () => JSON.stringify(networkInterfaces());
    let last = read();
    const timer = this.clock.every(
      WATCH_MS,
      () => {
        const now = read();
        if (now === last) return;
        last = now;
        changed();
      },
      { idle: true },
    );
    return () => timer.cancel();
  }

  describe(op: 'add' | 'remove' | 'announce', interfaceName: string, address: string, prefixLength: number): string {
    if (op === 'add') return addCommand(interfaceName, address, prefixLength);
    if (op === 'remove') return removeCommand(address);
    return `announce ${address}: done by Windows itself`;
  }

  hardStopLine(interfaceName: string, address: string, prefixLength: number): string {
    return `addr ${interfaceName} ${address}/${prefixLength}`;
  }

  private async powershell(command: string, signal?: AbortSignal): Promise<void> {
    const args = ['-NoLogo', '-NoProfile', '-NonInteractive', '-Command', command];
    const result = await this.exec.run('powershell.exe', args, { timeoutMs: COMMAND_MS, ...(signal ? { signal } : {}) });
    if (result.exitCode === 0) return;
    const why = result.timedOut ? `no end after ${COMMAND_MS} ms` : result.stderr.trim() || `status ${result.exitCode}`;
    throw new UnderstudyError(result.timedOut ? 'TIMED_OUT' : 'COMMAND_FAILED', `${command}: ${why}`);
  }
}

/** `ErrorAction Stop` makes any error an exit status of 1. */
export const addCommand = (interfaceName: string, address: string, prefixLength: number): string =>
  `New-NetIPAddress -InterfaceAlias ${quote(interfaceName)} -IPAddress ${quote(address)} -PrefixLength ${prefixLength}` +
  ' -SkipAsSource $true -PolicyStore ActiveStore -ErrorAction Stop | Out-Null';

/** Nothing to remove is no error; what cannot be removed is, and what is left is looked for. */
export const removeCommand = (address: string): string =>
  `Get-NetIPAddress -IPAddress ${quote(address)} -ErrorAction SilentlyContinue | Remove-NetIPAddress -Confirm:$false -ErrorAction Stop; ` +
  `if (Get-NetIPAddress -IPAddress ${quote(address)} -ErrorAction SilentlyContinue) { exit 1 }`;

/** A PowerShell string in which nothing is special; a quote is doubled, line ends are refused. */
const quote = (word: string): string => {
  if (/[\r\n\0\u2018-\u201b]/.test(word))
    throw new UnderstudyError('COMMAND_FAILED', `${JSON.stringify(word)} cannot be part of a PowerShell command`);
  return `'${word.replaceAll("'", "''")}'`;
};
