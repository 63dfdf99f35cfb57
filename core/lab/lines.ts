// Lines from a socket. Not readline: its interface throws a reset connection at whoever did not expect it, and a peer that
// dies in the middle of a line is the daily business of a lab. Invariant: a line has at most 16 MiB, and no error escapes.
import type { Socket } from 'node:net';

const MAX_LINE = 16 * 1024 * 1024;

/** Calls `hear` for every whole line. A broken, closed or endless connection is destroyed; its `close` event tells. */
export const onLines = (socket: Socket, hear: (line: string) => void): void => {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) hear(line);
    if (rest.length > MAX_LINE) socket.destroy();
  });
};
