// moto's EC2 as a process of a test: an implementation of the API that understudy did not write.
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { until } from './until.js';

/** What pip installs; one version for every test. */
export const MOTO = 'moto[server]==5.2.1';

/** Where it answers; ended with the test. */
export const startMoto = async (teardown: (end: () => void) => void, program: string): Promise<string> => {
  const port = await freePort();
  const child: ChildProcess = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore', detached: true });
  teardown(() => process.kill(-child.pid!, 'SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  await until('moto answers', async () => (await fetch(`${url}/moto-api/`).catch(() => null))?.ok === true, 60_000);
  return url;
};

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
};
