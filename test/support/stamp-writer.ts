// Clients that write all the time: each sends a stamp over a connection of its own, waits for `ok`, and sends the next. What was
// acknowledged goes to a file, a line each: the stamp and when (CLOCK_MONOTONIC). Invariant: a stamp is never sent twice.
// Usage: stamp-writer.js ADDRESS:PORT FILE CLIENTS FOR_SECONDS; ends by itself, or on SIGTERM.
import { openSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { systemClock } from '../../core/system/clock.js';

const [, , at = '', file = '', clients = '', forS = ''] = process.argv;
const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(at) ?? [];
/** An answer that is so late is none; the stamp may be kept or not. */
const LATE_MS = 200;
const PAUSE_MS = 5;
const acknowledged = openSync(file, 'a');

const write = (stamp: string): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    const late = systemClock.after(LATE_MS, () => socket.destroy());
    socket.setEncoding('latin1');
    socket.on('connect', () => socket.write(`${stamp}\n`));
    socket.on('data', (answer: string) => {
      if (answer === 'ok\n') writeSync(acknowledged, `${stamp} ${systemClock.nowMs()}\n`);
      socket.destroy();
    });
    // No answer is what a client of a service that moves may get.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      late.cancel();
      resolve();
    });
  });

const client = async (number: number): Promise<void> => {
  for (let count = 0; ; count++) {
    await write(`${number}.${count}`);
    await systemClock.sleep(PAUSE_MS);
  }
};

systemClock.after(Number(forS) * 1000, () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
await Promise.all(Array.from({ length: Number(clients) }, (_, number) => client(number)));
