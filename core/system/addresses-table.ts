// Addresses as lines of a text file: for the lab without root, where a host has no interfaces of its own. One address a
// line, `IFACE ADDRESS PREFIX`; emergency-stop removes lines of the same format. Changed by rename, never in place.
import { mkdirSync, watch as watchFile } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Addresses, type HostAddress, sameAddress } from './addresses.js';
import { readTextSync, writeAtomicSync } from './atomic-file.js';

export class TableAddresses implements Addresses {
  /** `file`: an absolute path; the file may be missing, its directory is made. */
  constructor(private readonly file: string) {}

  async list(): Promise<readonly HostAddress[]> {
    return parseTable(readTextSync(this.file) ?? '');
  }

  async add(interfaceName: string, address: string, prefixLength: number): Promise<void> {
    const lines = parseTable(readTextSync(this.file) ?? '');
    const has = lines.some(
      (line) => line.interface === interfaceName && line.prefixLength === prefixLength && sameAddress(line.address, address),
    );
    if (!has) this.write([...lines, { interface: interfaceName, address, prefixLength, label: null }]);
  }

  async remove(address: string): Promise<void> {
    const lines = parseTable(readTextSync(this.file) ?? '');
    const kept = lines.filter((line) => !sameAddress(line.address, address));
    if (kept.length < lines.length) this.write(kept);
  }

  /** A table has no neighbours. */
  async announce(): Promise<void> {}

  watch(changed: () => void): () => void {
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o700 });
    // The directory, not the file: a rename gives the file a new inode.
    const watcher = watchFile(dirname(this.file), { persistent: false }, (_event, name) => {
      if (name === null || name === basename(this.file)) changed();
    });
    // The host was powered off and its directory removed: nothing more to tell.
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  }

  describe(op: 'add' | 'remove' | 'announce', interfaceName: string, address: string, prefixLength: number): string {
    const line = `${interfaceName} ${address} ${prefixLength}`;
    if (op === 'announce') return `announce ${address} (no neighbours in ${this.file})`;
    return `${op} the line \`${line}\` ${op === 'add' ? 'to' : 'from'} ${this.file}`;
  }

  hardStopLine(_interfaceName: string, address: string): string {
    return `table ${this.file} ${address}`;
  }

  private write(lines: readonly HostAddress[]): void {
    writeAtomicSync(this.file, lines.map((line) => `${line.interface} ${line.address} ${line.prefixLength}\n`).join(''), {
      fsync: false,
      mode: 0o644,
    });
  }
}

/** Lines that are no address are left out: another hand may be writing. */
export const parseTable = (text: string): readonly HostAddress[] =>
  text.split('\n').flatMap((line) => {
    const [interfaceName, address, prefix] = line.trim().split(/\s+/);
    const prefixLength = Number(prefix);
    return interfaceName && address && prefix && Number.isInteger(prefixLength)
      ? [{ interface: interfaceName, address, prefixLength, label: null }]
      : [];
  });
