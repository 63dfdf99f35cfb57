// The life of an emulated instance: pending → running → stopping → stopped → pending, and terminated at the end. Pure: a
// request makes the first half of a change (`stopping`), and the server makes the second (`settled`) when its time is over.
import { ApiError } from './errors.js';
import { instanceOf, withInstance, type InstanceState, type Vpc } from './vpc.js';

/** EC2's numbers for the states, as the API shows them. */
export const STATE_CODES: Readonly<Record<InstanceState, number>> = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

/** An instance that a request put under way, with the state it will come to rest in. */
export interface Transition {
  readonly instance: string;
  readonly previous: InstanceState;
  readonly to: 'running' | 'stopped' | null;
}

export const stopInstance = (vpc: Vpc, id: string): { readonly vpc: Vpc; readonly transition: Transition } => {
  const { state } = instanceOf(vpc, id);
  if (state === 'stopped' || state === 'stopping') return { vpc, transition: { instance: id, previous: state, to: null } };
  if (state !== 'running' && state !== 'pending') throw notIn(id, 'stopped');
  return { vpc: withState(vpc, id, 'stopping'), transition: { instance: id, previous: state, to: 'stopped' } };
};

export const startInstance = (vpc: Vpc, id: string): { readonly vpc: Vpc; readonly transition: Transition } => {
  const { state } = instanceOf(vpc, id);
  if (state === 'running' || state === 'pending') return { vpc, transition: { instance: id, previous: state, to: null } };
  if (state !== 'stopped') throw notIn(id, 'started');
  return { vpc: withState(vpc, id, 'pending'), transition: { instance: id, previous: state, to: 'running' } };
};

/** SkipOsShutdown is refused where the hypervisor is Xen (kubernetes/kops#17675 has the words). */
export const refuseSkip = (vpc: Vpc, id: string): void => {
  if (isXen(instanceOf(vpc, id).type))
    throw new ApiError('OperationNotPermitted', 'SkipOsShutdown is not supported on Xen instance types.');
};

/** The families that still run on Xen (User Guide, "Instance types", read 2026-11). */
export const isXen = (type: string): boolean => /^(t[12]|m[1-4]|c[134]|cc2|r[34]|i2|d2|h1|g[23]|p[23]|x1e?|f1)\./.test(type);

/** As an Auto Scaling group or a person ends it. Its interfaces go with it, as their DeleteOnTermination says. */
export const terminated = (vpc: Vpc, id: string): Vpc => {
  const next = withState(vpc, id, 'terminated');
  return { ...next, interfaces: Object.fromEntries(Object.entries(next.interfaces).filter(([, eni]) => eni.instance !== id)) };
};

/** So long after its end that EC2 no longer knows it. */
export const absent = (vpc: Vpc, id: string): Vpc => {
  const { [id]: _gone, ...instances } = terminated(vpc, id).instances;
  return { ...vpc, interfaces: terminated(vpc, id).interfaces, instances };
};

/** The second half of a transition; nothing when another request has changed its course meanwhile. */
export const settled = (vpc: Vpc, { instance, to }: Transition): Vpc => {
  const { state } = instanceOf(vpc, instance);
  const expected = to === 'stopped' ? 'stopping' : 'pending';
  return to === null || state !== expected ? vpc : withState(vpc, instance, to);
};

/** The instance's own machine lost or got power by other means than the API: EC2 goes on saying `running`. */
export const setReachable = (vpc: Vpc, id: string, reachable: boolean): Vpc => {
  const instance = instanceOf(vpc, id);
  const state = reachable && instance.state === 'stopped' ? 'running' : instance.state;
  return withInstance(vpc, { ...instance, state, reachable });
};

const withState = (vpc: Vpc, id: string, state: InstanceState): Vpc =>
  withInstance(vpc, { ...instanceOf(vpc, id), state, reachable: state === 'running' });

const notIn = (id: string, wanted: string): ApiError =>
  new ApiError('IncorrectInstanceState', `The instance '${id}' is not in a state from which it can be ${wanted}.`);
