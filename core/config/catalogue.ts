// What the config needs to know of plugins, as an argument: this room stands below them. An AgentDefinition and an
// ArbiterDefinition of the plugin contract fit these shapes as they are.
import type { Operations } from '../model/desired.js';
import type { GroupId, NodeId, ResourceId } from '../model/ids.js';
import type { z } from './fields.js';

/** A resource type. */
export interface CatalogueAgent {
  readonly summary: string;
  readonly options: z.ZodType;
  readonly operations?: Operations;
  readonly promotable?: boolean;
  readonly fencedByEpoch?: boolean | ((options: never) => boolean);
  readonly mirror?: boolean;
  readonly process?: string;
  readonly outputs?: (where: OutputWhere<never>) => Readonly<Record<string, string>>;
  readonly defaults?: Partial<Record<'everyMs' | 'monitorTimeoutMs' | 'startTimeoutMs' | 'stopTimeoutMs', number>>;
}

/** Whose outputs are asked for, and where. */
export interface OutputWhere<Options> {
  readonly options: Options;
  readonly group: GroupId;
  readonly resource: ResourceId;
  readonly node: NodeId;
}

export interface CatalogueArbiter {
  readonly summary?: string;
  readonly options: z.ZodType;
  /** Milliseconds; a shorter renew period is refused. */
  readonly minRenewMs?: number;
}

export interface CatalogueFence {
  readonly summary?: string;
  readonly options: z.ZodType;
}

/** Everything that plugins add to the file's language. Absent as a whole for the guard, which loads no plugins. */
export interface Catalogue {
  readonly agents: Readonly<Record<string, CatalogueAgent>>;
  /** null: known by name, its options not loaded. */
  readonly arbiters: Readonly<Record<string, CatalogueArbiter | null>>;
  /** null: known by name, its options not loaded. */
  readonly fences?: Readonly<Record<string, CatalogueFence | null>>;
  /** Top-level keys that plugins own; null: known by name only. */
  readonly settings: Readonly<Record<string, z.ZodType | null>>;
  /** At run time: what no loaded plugin knows is a warning, so that a broken plugin faults its own resources and no others. */
  readonly lenient?: boolean;
}
