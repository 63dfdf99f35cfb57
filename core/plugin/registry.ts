// What was found at the door: every contribution of every plugin, frozen after start. Interface only; core/plugin/load makes it.
import type {
  Agent,
  AgentDefinition,
  ArbiterDefinition,
  CommandDefinition,
  FenceContext,
  FenceDefinition,
  FenceDevice,
  HookDefinition,
  LabServiceDefinition,
  Plugin,
} from './contract.js';
import type { HookPoint } from '../model/desired.js';

/** One plugin as it was found, usable or not. */
export interface FoundPlugin {
  readonly name: string;
  readonly version: string;
  /** `built-in`, `config: ./plugins/redis.ts`, `directory: /etc/understudy/plugins/x.ts`, `package: @acme/x`. */
  readonly origin: string;
  /** e.g. `agent overlay-ip`, `hook afterFailover`, `arbiter witness`, `command emulator`. */
  readonly contributions: readonly string[];
  /** Every shape error at once; a plugin with any contributes nothing. */
  readonly problems: readonly string[];
}

export interface Registry {
  readonly found: readonly FoundPlugin[];
  readonly agentTypes: readonly string[];
  agent(type: string): AgentDefinition | undefined;
  /** The agent of a type, built by the container once and kept. Rejects with PLUGIN_INVALID. */
  instance(type: string): Promise<Agent>;
  hooks(point: HookPoint): readonly { readonly plugin: string; readonly definition: HookDefinition }[];
  arbiter(name: string): Promise<ArbiterDefinition | undefined>;
  readonly arbiterNames: readonly string[];
  fence(name: string): Promise<FenceDefinition | undefined>;
  readonly fenceNames: readonly string[];
  /** The fence of that name, opened with these unparsed options. Rejects with PLUGIN_INVALID. */
  openFence(name: string, options: unknown, context: Omit<FenceContext, 'service'>): Promise<FenceDevice>;
  command(name: string): Promise<CommandDefinition | undefined>;
  readonly commandNames: readonly string[];
  readonly labServices: readonly { readonly plugin: string; readonly name: string; load(): Promise<LabServiceDefinition> }[];
  /** The plugin that owns a top-level config key, if one does. */
  settingsOwner(key: string): Plugin | undefined;
}
