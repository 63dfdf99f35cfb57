// The emulator as a whole: one HTTP server that speaks the EC2 Query API, STS AssumeRole and IMDSv2 over one VPC value, shows
// the faults it is told to, writes down every call, and waits for packets to follow before it answers. Holds the only mutable
// state of the folder. Meant for tests and the lab: it checks no signature.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { reasonOf, systemClock, type Clock, type Log } from 'understudy/plugin';
import { CallLog, type Call } from './calls.js';
import { control } from './control.js';
import { Faults, type FaultWords } from './faults.js';
import { RouteFollower, type OnRoute } from './follow.js';
import { History } from './history.js';
import { absent, setReachable, settled, terminated, type Transition } from './instances.js';
import { MetadataService } from './metadata-service.js';
import { Principals } from './principals.js';
import { QueryApi } from './query-api.js';
import { bodyOf } from './reply.js';
import { vpcFrom, type VpcFile } from './vpc-file.js';
import { setSourceDestCheck, type Vpc } from './vpc.js';

export interface EmulatorOptions {
  /** `ADDRESS:PORT`; port 0 takes a free one. Default 127.0.0.1:0. */
  readonly listen?: string;
  readonly vpc: VpcFile;
  /** Told where packets for each floating address go, at the start and at every change; the answer waits for it. */
  readonly onRoute?: OnRoute;
  /** Called while an instance is `stopping` or `pending`; it comes to rest only when this resolved. */
  readonly onPower?: (instance: string, on: boolean) => Promise<void>;
  /** How long instances take, milliseconds. Default 0; a graceful stop is one without SkipOsShutdown. */
  readonly takes?: { readonly startMs?: number; readonly stopMs?: number; readonly gracefulStopMs?: number };
  readonly clock?: Clock;
  readonly log?: Log;
}

/** A running emulator. */
export interface Emulator {
  readonly url: string;
  /** The state as it is now, never stale. */
  readonly vpc: Vpc;
  readonly calls: readonly Call[];
  /** Shows a fault from now on; returns the way to end it. */
  fault(words: FaultWords): () => void;
  clearFaults(): void;
  /** Changes the VPC behind the API's back, as a person in the console would; resolves when packets follow. */
  change(change: (vpc: Vpc) => Vpc): Promise<void>;
  powered(instance: string, on: boolean): Promise<void>;
  setSourceDestCheck(eni: string, on: boolean): Promise<void>;
  /** Ends an instance as a person or an Auto Scaling group would: `terminated`, or already forgotten. */
  end(instance: string, how: 'terminated' | 'absent'): Promise<void>;
  stop(): Promise<void>;
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export const startEmulator = async (options: EmulatorOptions): Promise<Emulator> => {
  const { onRoute, onPower = async () => {}, takes = {}, clock = systemClock, log = silent } = options;
  const { vpc, clientTable } = vpcFrom(options.vpc);
  const history = new History(vpc);
  const faults = new Faults();
  const calls = new CallLog(clock);
  const follower = onRoute === undefined || clientTable === null ? null : new RouteFollower(clientTable, onRoute);
  const stopping = new AbortController();

  const change = async (next: Vpc): Promise<void> => {
    history.add(next, clock.nowMs());
    await follower?.update(() => history.now);
  };
  const settle = async (transition: Transition & { readonly graceful: boolean }, longerMs: number): Promise<void> => {
    const stops = transition.to === 'stopped';
    const takesMs = stops ? (transition.graceful ? takes.gracefulStopMs : takes.stopMs) : takes.startMs;
    await clock.sleep((takesMs ?? 0) + longerMs, stopping.signal);
    await onPower(transition.instance, !stops);
    await change(settled(history.now, transition));
  };
  const underWay = (transition: Transition & { readonly graceful: boolean }, longerMs: number | null): void => {
    if (longerMs === null) return;
    settle(transition, longerMs).catch((thrown: unknown) => {
      if (!stopping.signal.aborted)
        log.error('an instance did not come to rest', { instance: transition.instance, reason: reasonOf(thrown) });
    });
  };

  const principals = new Principals();
  const api = new QueryApi({ history, faults, calls, principals, clock, change, underWay, stopping: stopping.signal });
  const metadata = new MetadataService({ history, faults, calls, principals, clock, stopping: stopping.signal });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(request.url ?? '/', 'http://emulator').pathname;
    const body = await bodyOf(request);
    if (path.startsWith('/_control/'))
      return control({ faults, calls, history }, { method: request.method ?? 'GET', path, body }, response);
    if (request.method === 'POST') return api.answer(request, body, response);
    return metadata.answer(request, path, response);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((thrown: unknown) => {
      log.error('the emulator could not answer', { url: request.url, reason: reasonOf(thrown) });
      response.destroy();
    });
  });

  await follower?.update(() => history.now);
  const [host, port] = splitListen(options.listen ?? '127.0.0.1:0');
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  const { address, port: bound, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
    get vpc() {
      return history.now;
    },
    get calls() {
      return calls.list;
    },
    fault: (words) => {
      const id = faults.add(words);
      return () => faults.clear(id);
    },
    clearFaults: () => faults.clear(),
    change: (make) => change(make(history.now)),
    powered: (instance, on) => change(setReachable(history.now, instance, on)),
    setSourceDestCheck: (eni, on) => change(setSourceDestCheck(history.now, eni, on)),
    end: async (instance, how) => {
      if (history.now.instances[instance]?.state === 'running') await onPower(instance, false);
      await change((how === 'absent' ? absent : terminated)(history.now, instance));
    },
    stop: async () => {
      stopping.abort(new Error('the emulator is stopping'));
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};

/** `10.0.0.1:8080`, `[fd00::1]:8080`, or an address alone with port 0. */
const splitListen = (listen: string): readonly [string, number] => {
  const [, six, four, port = '0'] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(listen) ?? [];
  return [six ?? (four || '127.0.0.1'), Number(port)];
};
