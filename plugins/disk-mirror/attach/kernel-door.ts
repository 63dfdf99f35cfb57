// The door to the kernel’s NBD driver: a socket pair, and generic netlink to hand one end of it over. Through libc by koffi, an
// optional dependency. The netlink calls block for as long as the driver works on them (microseconds; a disconnect waits for
// requests under way), so they are bounded by a receive timeout. Where koffi or the driver is missing the answer says so.
import { reasonOf, UnderstudyError } from 'understudy/plugin';
import { askFamily, connectDevice, type DeviceSetup, disconnectDevice, readReplies, reconnectDevice, type Reply } from './nbd-netlink.js';

/** The kernel's NBD driver. */
export interface KernelDoor {
  /** Two connected stream sockets; both must be closed or handed on. */
  pair(): { readonly ours: number; readonly kernels: number };
  closeFd(fd: number): void;
  /** Throws AGENT_FAILED with the driver's errno in words. */
  connect(setup: DeviceSetup): void;
  reconnect(setup: DeviceSetup): void;
  disconnect(index: number): void;
}

const [AF_UNIX, AF_NETLINK, NETLINK_GENERIC] = [1, 16, 16];
const [SOCK_STREAM, SOCK_RAW, CLOEXEC] = [1, 3, 0o2000000];
const [SOL_SOCKET, SO_RCVTIMEO] = [1, 20];
const ANSWER_S = 5;
const ANSWER_BYTES = 8_192;
const WORDS: Readonly<Record<number, string>> = {
  1: 'not permitted (root or CAP_SYS_ADMIN is needed)',
  2: 'no such device',
  11: 'no answer in time',
  16: 'the device is in use',
  22: 'refused as invalid: is it set up, and by this volume?',
  28: 'no connection of it has died',
};

let loaded: Promise<KernelDoor> | undefined;

/** Rejects with AGENT_FAILED where there is no koffi or no driver. Loaded once: ask before a failover. */
export const kernelDoor = (): Promise<KernelDoor> => (loaded ??= load().catch(refuse));

const refuse = (error: unknown): never => {
  loaded = undefined;
  throw new UnderstudyError('AGENT_FAILED', `the kernel’s NBD driver cannot be reached: ${reasonOf(error)}`, {
    cause: error,
    hint: 'It needs the module (modprobe nbd) and the optional package koffi; without them: attach: nbdfuse.',
  });
};

const load = async (): Promise<KernelDoor> => {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load('libc.so.6');
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const socketpair = libc.func('int socketpair(int domain, int type, int protocol, _Out_ int *pair)');
  const setsockopt = libc.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)');
  const send = libc.func('long send(int fd, const uint8_t *bytes, size_t length, int flags)');
  const recv = libc.func('long recv(int fd, _Out_ uint8_t *bytes, size_t length, int flags)');
  const close = libc.func('int close(int fd)');
  let sequence = 0;

  /** One question on a socket of its own, so that no answer is ever another's. */
  const ask = (question: Buffer, wanted: Reply['kind']): Reply => {
    const fd = socket(AF_NETLINK, SOCK_RAW | CLOEXEC, NETLINK_GENERIC) as number;
    if (fd < 0) throw new Error(`no netlink socket: errno ${koffi.errno()}`);
    try {
      const timeout = Buffer.alloc(16);
      timeout.writeBigInt64LE(BigInt(ANSWER_S), 0);
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length);
      if (Number(send(fd, question, question.length, 0)) !== question.length) throw new Error(`not sent: errno ${koffi.errno()}`);
      const buffer = Buffer.alloc(ANSWER_BYTES);
      for (;;) {
        const bytes = Number(recv(fd, buffer, buffer.length, 0));
        if (bytes < 0) return { kind: 'status', sequence, errno: koffi.errno() };
        for (const reply of readReplies(buffer.subarray(0, bytes)))
          if (reply.sequence === sequence && (reply.kind === wanted || reply.kind === 'status')) return reply;
      }
    } finally {
      close(fd);
    }
  };

  const family = (): number => {
    const reply = ask(askFamily((sequence += 1)), 'family');
    if (reply.kind === 'family') return reply.family;
    throw new Error('the kernel knows no family nbd: the module is not loaded');
  };
  const nbd = family();

  const command = (what: string, index: number, question: (sequence: number) => Buffer): void => {
    const reply = ask(question((sequence += 1)), 'status');
    const errno = reply.kind === 'status' ? reply.errno : 0;
    if (errno !== 0)
      throw new UnderstudyError('AGENT_FAILED', `/dev/nbd${index} could not be ${what}: ${WORDS[errno] ?? `errno ${errno}`}`);
  };

  return {
    pair: () => {
      const fds: number[] = [0, 0];
      if (socketpair(AF_UNIX, SOCK_STREAM | CLOEXEC, 0, fds) !== 0)
        throw new UnderstudyError('AGENT_FAILED', `no socket pair: errno ${koffi.errno()}`);
      return { ours: fds[0]!, kernels: fds[1]! };
    },
    closeFd: (fd) => void close(fd),
    connect: (setup) => command('set up', setup.index, (number) => connectDevice(nbd, number, setup)),
    reconnect: (setup) => command('connected again', setup.index, (number) => reconnectDevice(nbd, number, setup)),
    disconnect: (index) => command('disconnected', index, (number) => disconnectDevice(nbd, number, index)),
  };
};
