// The lab's end of its services process: starts it beside the router, carries out what the services ask of the lab (routes,
// power), and passes faults on to them.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NodeId } from '../model/ids.js';
import { type ErrorCode, ERRORS, reasonOf, UnderstudyError } from '../errors/errors.js';
import { type LabProcess, lastWords, startProcess } from './lab-process.js';
import type { ServiceConfig } from './lab-config.js';
import { type Ready, readyWithin } from './ready.js';
import type { FromServices, ServicesPlan, ToServices } from './services-process.js';
import type { Substrate } from './substrate.js';
import { clusterKey } from './topology.js';

const START_LIMIT_MS = 20_000;
const ANSWER_LIMIT_MS = 20_000;

/** What a service may ask of the lab. */
export interface ServiceOrders {
  route(address: string, node: NodeId | null): Promise<void>;
  power(node: NodeId, on: boolean): Promise<void>;
}

const arbiterOf = (words: string): ServicesPlan['arbiter'] => {
  const [name = '', ...variant] = words.split(':');
  return { name, ...(variant.length > 0 ? { variant: variant.join(':') } : {}) };
};

export class LabServices {
  #process: LabProcess | null = null;
  #asked = 0;
  readonly #waiting = new Map<number, Ready<unknown>>();
  readonly #ready = readyWithin<readonly ServiceConfig[]>(START_LIMIT_MS, 'the services of the lab');
  /** What they want in the config; empty before `start`. */
  configs: readonly ServiceConfig[] = [];

  constructor(
    private readonly substrate: Substrate,
    private readonly orders: ServiceOrders,
    /** `NAME` or `NAME:VARIANT` of the service that keeps the leases. */
    private readonly arbiter: string,
  ) {}

  get names(): readonly string[] {
    return this.configs.map(({ name }) => name);
  }

  async start(): Promise<void> {
    const { topology } = this.substrate;
    const plan: ServicesPlan = {
      hosts: topology.hosts.map(({ node, zone, addresses }) => ({ node, zone, serviceAddress: addresses.service })),
      floating: topology.floating,
      listenAddress: topology.serviceAddress,
      directory: join(topology.directory, 'services'),
      keyFile: clusterKey(topology),
      arbiter: arbiterOf(this.arbiter),
    };
    const script = fileURLToPath(new URL('./services-process.js', import.meta.url));
    const logFile = join(topology.directory, 'services.log');
    const started = startProcess(this.substrate.inRouter([process.execPath, script, JSON.stringify(plan)]), {
      logFile,
      ipc: true,
      onMessage: (message) => this.#hear(message as FromServices),
    });
    this.#process = started;
    void started.exited.then(() =>
      this.#ready.reject(new UnderstudyError('LAB_FAILED', `the services of the lab ended: ${lastWords(logFile)}`)),
    );
    this.configs = await this.#ready.promise;
  }

  powered(node: NodeId, on: boolean): void {
    this.#send({ t: 'powered', node, on });
  }

  /** The service's own words about what it now does. */
  async fault(service: string, words: readonly string[]): Promise<string> {
    return String(await this.#ask((id) => ({ t: 'fault', id, service, words })));
  }

  state(): Promise<unknown> {
    return this.#ask((id) => ({ t: 'state', id }));
  }

  async stop(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#process?.exited;
  }

  #send(message: ToServices): boolean {
    return this.#process?.send(message) ?? false;
  }

  async #ask(message: (id: number) => ToServices): Promise<unknown> {
    const id = ++this.#asked;
    const answer = readyWithin<unknown>(ANSWER_LIMIT_MS, 'an answer of the lab’s services');
    this.#waiting.set(id, answer);
    try {
      if (!this.#send(message(id))) throw new UnderstudyError('LAB_FAILED', 'the services of the lab are not running');
      return await answer.promise;
    } finally {
      this.#waiting.delete(id);
      answer.resolve(null);
    }
  }

  #hear(message: FromServices): void {
    if (message.t === 'ready') this.#ready.resolve(message.services);
    else if (message.t === 'failed')
      this.#ready.reject(new UnderstudyError('LAB_FAILED', `a service of the lab did not start: ${message.why}`));
    else if (message.t === 'answer') this.#settle(message);
    else void this.#carryOut(message);
  }

  #settle({ id, value, error }: Extract<FromServices, { t: 'answer' }>): void {
    const waiting = this.#waiting.get(id);
    if (error === null) return waiting?.resolve(value);
    const code = error.code in ERRORS ? (error.code as ErrorCode) : 'LAB_FAILED';
    waiting?.reject(new UnderstudyError(code, error.message, error.hint === '' ? {} : { hint: error.hint }));
  }

  async #carryOut(order: Extract<FromServices, { t: 'route' | 'power' }>): Promise<void> {
    let error: string | null = null;
    try {
      if (order.t === 'route') await this.orders.route(order.address, order.node);
      else await this.orders.power(order.node, order.on);
    } catch (thrown) {
      error = reasonOf(thrown);
    }
    this.#send({ t: 'did', id: order.id, error });
  }
}
