// `understudy witness`: serves one state file, or creates it. Creating is a command of its own that ends when it is done,
// so that no unit file can hold it: a witness whose disk was replaced must stop and say so, not begin anew.
import { randomBytes } from 'node:crypto';
import { type CommandDefinition, UnderstudyError, loadKeys } from 'understudy/plugin';
import { WITNESS_PORT, parseAddress } from './address.js';
import { startWitness } from './server.js';
import { createStateFile } from './state-file.js';

const STATE_ID_BYTES = 16;

export const newStateId = (): string => randomBytes(STATE_ID_BYTES).toString('hex');

const needed = (options: Readonly<Record<string, unknown>>, name: string, what: string): string => {
  const value = options[name];
  if (typeof value !== 'string' || value === '') throw new UnderstudyError('USAGE', `understudy witness needs --${name}: ${what}`);
  return value;
};

const say = (line: string, data: Record<string, unknown> = {}): void =>
  void process.stderr.write(`${line}${Object.keys(data).length > 0 ? ` ${JSON.stringify(data)}` : ''}\n`);

export const witnessCommand: CommandDefinition = {
  summary: 'Keeps the leases of a cluster on a third machine: a small compare-and-set server with one file',
  options: [
    { flags: '--state <file>', help: 'the state, on a disk that survives power loss' },
    { flags: '--listen <address>', help: 'ADDRESS:PORT, numeric', default: `0.0.0.0:${WITNESS_PORT}` },
    { flags: '--key <file>', help: 'the cluster key, the same as on the nodes' },
    { flags: '--create', help: 'make a new, empty state and end; only for a cluster that never had one' },
    { flags: '--verbose', help: 'also say who connects' },
  ],
  example: 'understudy witness --listen 10.0.9.9:4472 --state /var/lib/understudy/witness.state --key /etc/understudy/cluster.key',
  async run(options) {
    const stateFile = needed(options, 'state', 'the file that holds the leases');
    if (options['create'] === true) {
      const stateId = newStateId();
      await createStateFile(stateFile, stateId);
      process.stdout.write(
        `Created state ${stateId} in ${stateFile}.\nServe it with: understudy witness --state ${stateFile} --key FILE\n`,
      );
      return 0;
    }
    await serve(options, stateFile, signalled());
    return 0;
  },
};

const signalled = (): Promise<null> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(null));
  });

/** Serves until `stop` resolves; rejects when it cannot start, or when its disk fails. */
export const serve = async (options: Readonly<Record<string, unknown>>, stateFile: string, stop: Promise<null>): Promise<void> => {
  const keys = loadKeys(needed(options, 'key', 'the cluster key'));
  const listen = needed(options, 'listen', 'ADDRESS:PORT');
  const at = parseAddress(listen, WITNESS_PORT);
  if (at === null)
    throw new UnderstudyError(
      'USAGE',
      `understudy witness cannot listen on ${listen}: write a numeric address and a port, e.g. 10.0.9.9:${WITNESS_PORT}`,
    );
  const debug = options['verbose'] === true ? say : () => {};
  const witness = await startWitness({ ...at, stateFile, keys, log: { debug, info: say, warn: say, error: say } });
  process.stdout.write(`Witness of state ${witness.stateId} at ${witness.address}, generation ${witness.generation()}\n`);
  const failure = await Promise.race([stop, witness.failed]);
  await witness.close();
  if (failure !== null) throw failure;
};
