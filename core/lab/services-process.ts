// Runs the lab's services (the cloud's API, the arbiter) in a process of their own beside the router: outside every host, so
// that no fault touches them, and reached over the hosts' service network, so that a host cut off from it loses them too.
import 'reflect-metadata';
import type { LabHost, LabService, LabServiceContext, LabServiceDefinition, Log } from '../plugin/contract.js';
import type { NodeId } from '../model/ids.js';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { loadPlugins } from '../plugin/load.js';
import { systemClock } from '../system/clock.js';
import type { ServiceConfig } from './lab-config.js';
import { type Ready, readyWithin } from './ready.js';

export interface ServicesPlan {
  readonly hosts: readonly LabHost[];
  readonly floating: readonly string[];
  readonly listenAddress: string;
  readonly directory: string;
  readonly keyFile: string;
  /** The service that keeps the leases, and what it is told besides. */
  readonly arbiter: { readonly name: string; readonly variant?: string };
}

export type ToServices =
  | { readonly t: 'powered'; readonly node: NodeId; readonly on: boolean }
  | { readonly t: 'fault'; readonly id: number; readonly service: string; readonly words: readonly string[] }
  | { readonly t: 'state'; readonly id: number }
  /** The answer to `route` and `power`. */
  | { readonly t: 'did'; readonly id: number; readonly error: string | null };

export type FromServices =
  | { readonly t: 'ready'; readonly services: readonly ServiceConfig[] }
  | { readonly t: 'failed'; readonly why: string }
  | { readonly t: 'route'; readonly id: number; readonly address: string; readonly node: NodeId | null }
  | { readonly t: 'power'; readonly id: number; readonly node: NodeId; readonly on: boolean }
  | {
      readonly t: 'answer';
      readonly id: number;
      readonly value: unknown;
      readonly error: { readonly code: string; readonly message: string; readonly hint: string } | null;
    };

const ASK_LIMIT_MS = 20_000;
const tell = (message: FromServices): void => {
  if (process.connected) process.send?.(message);
};

/** Lines for the services' log file, with the monotonic time that all processes of the lab share. */
const logFor = (name: string): Log => {
  const line =
    (level: string) =>
    (message: string, data: Record<string, unknown> = {}) =>
      process.stdout.write(`${systemClock.nowMs().toFixed(1)} ${level} ${name}: ${message} ${JSON.stringify(data)}\n`);
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
};

const waiting = new Map<number, Ready<void>>();
let asked = 0;
/** Asks the lab to do something and waits until it is done. */
const ask = async (what: string, message: (id: number) => FromServices): Promise<void> => {
  const id = ++asked;
  const done = readyWithin(ASK_LIMIT_MS, what);
  waiting.set(id, done);
  try {
    tell(message(id));
    await done.promise;
  } finally {
    waiting.delete(id);
  }
};

const plan = JSON.parse(process.argv[2] ?? '{}') as ServicesPlan;
const running = new Map<string, LabService>();

const startService = async (name: string, definition: LabServiceDefinition): Promise<ServiceConfig> => {
  const { arbiter, ...shared } = plan;
  const context: LabServiceContext = {
    ...shared,
    ...(name === arbiter.name && arbiter.variant !== undefined ? { variant: arbiter.variant } : {}),
    route: (address, node) => ask(`the route of ${address}`, (id) => ({ t: 'route', id, address, node })),
    power: (node, on) => ask(`the power of ${node}`, (id) => ({ t: 'power', id, node, on })),
    log: logFor(name),
  };
  const service = await definition.start(context);
  running.set(name, service);
  const resources = plan.floating.flatMap((address) =>
    service.addressResource ? [[address, service.addressResource(address)] as const] : [],
  );
  return { name, config: service.config, resources: Object.fromEntries(resources) };
};

const faultOf = async (name: string, words: readonly string[]): Promise<string> => {
  const service = running.get(name);
  if (service?.fault === undefined) throw new UnderstudyError('USAGE', `service ${name} of the lab has no faults to show`);
  return service.fault(words);
};

const answer = async (id: number, work: () => unknown): Promise<void> => {
  try {
    tell({ t: 'answer', id, value: await work(), error: null });
  } catch (thrown) {
    const known = thrown instanceof UnderstudyError;
    tell({
      t: 'answer',
      id,
      value: null,
      error: { code: known ? thrown.code : 'LAB_FAILED', message: reasonOf(thrown), hint: known ? thrown.hint : '' },
    });
  }
};

process.on('message', (message: ToServices) => {
  if (message.t === 'powered') for (const service of running.values()) service.powered?.(message.node, message.on);
  else if (message.t === 'fault') void answer(message.id, () => faultOf(message.service, message.words));
  else if (message.t === 'state')
    void answer(message.id, () => Object.fromEntries([...running].map(([name, service]) => [name, service.state?.() ?? null])));
  else if (message.error === null) waiting.get(message.id)?.resolve();
  else waiting.get(message.id)?.reject(new UnderstudyError('LAB_FAILED', message.error));
});
process.on('disconnect', () => process.exit(0));

try {
  const services: ServiceConfig[] = [];
  const registry = await loadPlugins();
  for (const { name, problems } of registry.found) if (problems.length > 0) logFor(name).warn('this plugin is not usable', { problems });
  const arbiters: string[] = [];
  for (const { name, load } of registry.labServices) {
    const definition = await load();
    if (definition.arbiter === true) arbiters.push(name);
    if (definition.arbiter !== true || name === plan.arbiter.name) services.push(await startService(name, definition));
  }
  if (!arbiters.includes(plan.arbiter.name))
    throw new UnderstudyError('USAGE', `no service of the lab is an arbiter "${plan.arbiter.name}": there are ${arbiters.join(', ')}`);
  tell({ t: 'ready', services });
} catch (thrown) {
  tell({ t: 'failed', why: reasonOf(thrown) });
}
