// The EC2 Query protocol's inward half: `Filter.1.Value.2=…` in a form body, asked for by name. Unknown parameters are
// ignored, as EC2 ignores most of them; a value of the wrong kind is refused.
import { invalid, missing } from './errors.js';

export interface Filter {
  readonly name: string;
  readonly values: readonly string[];
}

export class Query {
  constructor(private readonly parameters: ReadonlyMap<string, string>) {}

  static parse(body: string): Query {
    return new Query(new Map(new URLSearchParams(body)));
  }

  get action(): string {
    return this.text('Action') ?? '';
  }

  /** Everything that was asked, for the call log. */
  get all(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.parameters);
  }

  text(name: string): string | undefined {
    return this.parameters.get(name);
  }

  need(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === '') throw missing(name.charAt(0).toLowerCase() + name.slice(1));
    return value;
  }

  flag(name: string): boolean {
    const value = this.text(name)?.toLowerCase() ?? 'false';
    if (value !== 'true' && value !== 'false') throw invalid(`Invalid value '${value}' for ${name}. Expecting true or false.`);
    return value === 'true';
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (!/^\d+$/.test(value)) throw invalid(`Value ( ${value} ) for parameter ${name} is invalid. Expecting a number.`);
    return Number(value);
  }

  /** `Name.1`, `Name.2`, … in order of their numbers. */
  list(name: string): readonly string[] {
    return this.indexes(name).map((index) => this.text(`${name}.${index}`) ?? '');
  }

  filters(): readonly Filter[] {
    return this.indexes('Filter').map((index) => ({ name: this.need(`Filter.${index}.Name`), values: this.list(`Filter.${index}.Value`) }));
  }

  tags(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.indexes('Tag').map((index) => [this.need(`Tag.${index}.Key`), this.text(`Tag.${index}.Value`) ?? '']));
  }

  private indexes(name: string): readonly number[] {
    const found = [...this.parameters.keys()]
      .filter((key) => key.startsWith(`${name}.`))
      .map((key) => Number(key.slice(name.length + 1).split('.')[0]));
    return [...new Set(found)].filter((index) => Number.isInteger(index)).toSorted((a, b) => a - b);
  }
}
