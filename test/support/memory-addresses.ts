// The addresses of a host that exists only in the test: a real small implementation of Addresses, with every change noted.
import type { Addresses, HostAddress } from 'understudy/plugin';

export class MemoryAddresses implements Addresses {
  readonly changes: string[] = [];
  /** When set, everything fails with it. */
  broken: Error | null = null;
  private held: readonly HostAddress[] = [];
  private readonly watchers = new Set<() => void>();

  async list(): Promise<readonly HostAddress[]> {
    if (this.broken) throw this.broken;
    return this.held;
  }

  async add(interfaceName: string, address: string, prefixLength: number, { label }: { label?: string } = {}): Promise<void> {
    if (this.broken) throw this.broken;
    if (this.held.some((one) => one.interface === interfaceName && one.address === address)) return;
    this.change(
      [...this.held, { interface: interfaceName, address, prefixLength, label: label ?? null }],
      `add ${address}/${prefixLength} ${interfaceName}`,
    );
  }

  async remove(address: string): Promise<void> {
    if (this.broken) throw this.broken;
    const left = this.held.filter((one) => one.address !== address);
    if (left.length < this.held.length) this.change(left, `remove ${address}`);
  }

  async announce(interfaceName: string, address: string, count: number): Promise<void> {
    this.changes.push(`announce ${address} ${interfaceName} ${count}`);
  }

  watch(changed: () => void): () => void {
    this.watchers.add(changed);
    return () => void this.watchers.delete(changed);
  }

  describe(op: 'add' | 'remove' | 'announce', interfaceName: string, address: string, prefixLength: number): string {
    return `ip addr ${op} ${address}/${prefixLength} dev ${interfaceName}`;
  }

  hardStopLine(interfaceName: string, address: string, prefixLength: number): string {
    return `addr ${interfaceName} ${address}/${prefixLength}`;
  }

  get all(): readonly string[] {
    return this.held.map((one) => `${one.interface} ${one.address}/${one.prefixLength}`);
  }

  private change(held: readonly HostAddress[], what: string): void {
    this.held = held;
    this.changes.push(what);
    for (const changed of this.watchers) changed();
  }
}
