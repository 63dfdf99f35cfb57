// The agent’s and the commands’ side of a volume’s control socket. A process that is away, or does not answer in time, is an
// error with a code: never an answer.
import { type Clock, type FramedConnection, type LocalSockets, reasonOf, UnderstudyError } from 'understudy/plugin';
import type { KernelAttach } from '../attach/kernel-nbd.js';
import type { FromVolume, Order, VolumeView } from './protocol.js';

export interface ControlClientOptions {
  readonly sockets: LocalSockets;
  readonly clock: Clock;
  readonly path: string;
  /** For messages: `orders-db/data`. */
  readonly volume: string;
}

/** One order on a connection of its own. Rejects with NO_DAEMON when nobody answers, TIMED_OUT, or REFUSED with the process's reason. */
export const order = async (options: ControlClientOptions, what: Order, limitMs: number, signal?: AbortSignal): Promise<unknown> => {
  const connection = await connected(options);
  try {
    return await answered(options, connection, what, limitMs, signal);
  } finally {
    connection.close();
  }
};

/** The view as it is now. Rejects as `order`. */
export const viewVolume = async (options: ControlClientOptions, limitMs: number, signal?: AbortSignal): Promise<VolumeView> =>
  (await order(options, { do: 'view' }, limitMs, signal)) as VolumeView;

/** Calls `changed` with every new view and when the process goes away or comes back, until the returned function is called. */
export const watchVolume = (options: ControlClientOptions, changed: (view: VolumeView | null) => void): (() => void) => {
  let over = false;
  let connection: FramedConnection | null = null;
  let retry: { cancel(): void } | null = null;
  const again = () => {
    connection = null;
    if (!over) retry = options.clock.after(RETRY_MS, connect, { idle: true });
  };
  const connect = (): void => {
    options.sockets.connect(options.path).then((made) => {
      if (over) return made.close();
      connection = made;
      made.onClose(() => {
        if (!over) changed(null);
        again();
      });
      made.onMessage((message) => {
        const said = message as FromVolume;
        changed('t' in said ? said.view : said.ok ? (said.value as VolumeView) : null);
      });
      made.send({ id: 1, do: 'watch' });
      return undefined;
    }, again);
  };
  connect();
  return () => {
    over = true;
    retry?.cancel();
    connection?.close();
  };
};

/** The kernel's device of a volume, which lives in its process. */
export const kernelAttach = (options: ControlClientOptions): KernelAttach => ({
  attach: async (limitMs, signal) => (await order(options, { do: 'attach' }, limitMs, signal)) as string,
  detach: async (limitMs, signal) => void (await order(options, { do: 'detach' }, limitMs, signal)),
  device: async (signal) => (await viewVolume(options, LOOK_MS, signal)).kernelDevice,
});

const LOOK_MS = 5_000;
const RETRY_MS = 500;

const connected = async ({ sockets, path, volume }: ControlClientOptions): Promise<FramedConnection> => {
  try {
    return await sockets.connect(path);
  } catch (error) {
    throw new UnderstudyError('NO_DAEMON', `the mirror process of ${volume} does not answer on ${path}: ${reasonOf(error)}`, {
      cause: error,
      hint: 'It is started at boot by understudy run or the unit understudy-mirror@: look at its log.',
    });
  }
};

const answered = (
  { clock, volume }: ControlClientOptions,
  connection: FramedConnection,
  what: Order,
  limitMs: number,
  signal?: AbortSignal,
): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const late = () =>
      end(() => reject(new UnderstudyError('TIMED_OUT', `the mirror process of ${volume} did not ${what.do} within ${limitMs} ms`)));
    const aborted = () =>
      end(() => reject(new UnderstudyError('TIMED_OUT', `${what.do} of ${volume} was given up: ${reasonOf(signal?.reason)}`)));
    const timer = clock.after(limitMs, late);
    const end = (how: () => void) => {
      timer.cancel();
      signal?.removeEventListener('abort', aborted);
      how();
    };
    signal?.addEventListener('abort', aborted, { once: true });
    if (signal?.aborted === true) return aborted();
    connection.onClose((because) =>
      end(() => reject(new UnderstudyError('NO_DAEMON', `the mirror process of ${volume} went away before it answered: ${because}`))),
    );
    connection.onMessage((message) => {
      const said = message as FromVolume;
      if (!('id' in said)) return;
      end(() => (said.ok ? resolve(said.value) : reject(new UnderstudyError('REFUSED', `${volume}: ${what.do} refused: ${said.because}`))));
    });
    connection.send({ id: 1, ...what });
    return undefined;
  });
