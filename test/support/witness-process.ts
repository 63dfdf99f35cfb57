// A witness in a process of its own, for tests that kill it. Arguments: state file, port. Prints its address when it listens.
import 'reflect-metadata';
import { startWitness } from '../../plugins/witness/server.js';

const [stateFile = '', port = '0'] = process.argv.slice(2);
const key = { id: 1, bytes: Buffer.alloc(32, 7) };
const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const witness = await startWitness({ host: '127.0.0.1', port: Number(port), stateFile, keys: { current: key, all: [key] }, log });
process.stdout.write(`${witness.address}\n`);
const failure = await witness.failed;
process.stderr.write(`${failure.message}\n`);
process.exit(1);
