// Speaks to QEMU's monitor for the bench: `node qmp.ts SOCKET COMMAND… [wait:EVENT]`, commands as JSON. Prints each answer, and for
// a wait the milliseconds since the command before it. Ends with status 1 at the first error, 2 when the event does not come.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

interface Message {
  readonly event?: string;
  readonly error?: unknown;
  readonly QMP?: unknown;
}

const WAIT_MS = 180_000;
const [path = '', ...steps] = process.argv.slice(2);
const socket = connect(path);
socket.on('error', (error) => {
  console.error(`${path}: ${error.message}`);
  process.exit(1);
});
const events: string[] = [];
const messages = createInterface({ input: socket })[Symbol.asyncIterator]();

const next = async (): Promise<Message> => {
  const { value, done } = await messages.next();
  if (done === true) throw new Error(`${path} was closed`);
  const message = JSON.parse(value) as Message;
  if (message.event !== undefined) events.push(message.event);
  return message;
};
const answer = async (command: string): Promise<Message> => {
  socket.write(`${command}\n`);
  for (;;) {
    const message = await next();
    if (message.event === undefined) return message;
  }
};

const deadline = setTimeout(() => {
  console.error(`nothing of what was waited for came in ${WAIT_MS} ms`);
  process.exit(2);
}, WAIT_MS);
await next();
await answer('{"execute":"qmp_capabilities"}');
let sinceMs = performance.now();
for (const step of steps) {
  if (step.startsWith('wait:')) {
    while (!events.includes(step.slice(5))) await next();
    console.log(Math.round(performance.now() - sinceMs));
    continue;
  }
  sinceMs = performance.now();
  const said = await answer(step);
  console.log(JSON.stringify(said));
  if (said.error !== undefined) process.exit(1);
}
clearTimeout(deadline);
socket.destroy();
