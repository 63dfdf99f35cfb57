// The process that holds a lab: detached from whoever started it, commanded over a Unix socket in the lab's directory. However
// it ends (an order, a signal, a failed start, a starter that went away before it was up), it takes the lab down first.
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { systemClock } from '../system/clock.js';
import type { FromDaemon, LabLine, LabRequest } from './control.js';
import { Lab, type LabNews, type LabOptions, substrateFor } from './lab.js';
import { onLines } from './lines.js';
import type { Probe } from './probe.js';
import { labControlSocket, type LabTopology } from './topology.js';

export interface DaemonPlan {
  readonly topology: LabTopology;
  readonly options: LabOptions;
  /** Where lab directories lie. */
  readonly base: string;
}

const plan = JSON.parse(process.argv[2] ?? '{}') as DaemonPlan;
const { topology } = plan;

const failure = (thrown: unknown) => ({
  code: thrown instanceof UnderstudyError ? thrown.code : 'LAB_FAILED',
  message: reasonOf(thrown),
  hint: thrown instanceof UnderstudyError ? thrown.hint : '',
});
const tellStarter = (message: FromDaemon): void => {
  if (process.connected) process.send?.(message);
};
const onNews = (news: LabNews): void => {
  process.stdout.write(`${systemClock.nowMs().toFixed(1)} ${JSON.stringify(news)}\n`);
  if (news.t === 'step') tellStarter(news);
};

const lab = new Lab(substrateFor(topology), plan.options, onNews);
let isUp = false;
let ending: Promise<void> | null = null;

/** Takes the lab down once, whoever asks, and ends this process. */
const end = (because: string): Promise<void> => {
  ending ??= (async () => {
    process.stdout.write(`${systemClock.nowMs().toFixed(1)} going down: ${because}\n`);
    try {
      await coming.catch(() => undefined);
      await lab.down();
    } catch (thrown) {
      process.stderr.write(`could not take the lab down: ${reasonOf(thrown)}\n`);
      process.exitCode = 1;
    }
    // Answers to those who asked for it leave before the process does.
    systemClock.after(50, () => process.exit());
  })();
  return ending;
};

const serveOne = async (request: LabRequest, probes: Set<Probe>, part: (value: unknown) => void): Promise<unknown> => {
  switch (request.op) {
    case 'status':
      return lab.status();
    case 'state':
      return lab.serviceState();
    case 'fault':
      return lab.fault(request.words);
    case 'exec':
      return lab.run(request.node, request.argv, request.timeoutMs);
    case 'probe': {
      const probe = lab.probe(request.plan, (message) => message.t !== 'end' && part(message));
      probes.add(probe);
      const report = await probe.ended;
      probes.delete(probe);
      return { t: 'end', report };
    }
    case 'end-probe':
      await Promise.all([...probes].map((probe) => probe.stop()));
      return null;
    case 'down':
      await end('ordered');
      return null;
  }
};

const serve = (connection: Socket): void => {
  const probes = new Set<Probe>();
  const say = (line: LabLine): void => {
    if (!connection.destroyed) connection.write(`${JSON.stringify(line)}\n`);
  };
  // Nobody is left to read what these probes see.
  connection.on('close', () => {
    for (const probe of probes) probe.stop().catch((thrown: unknown) => onNews({ t: 'trouble', text: reasonOf(thrown) }));
  });
  onLines(connection, (text) => {
    const { id, ...request } = JSON.parse(text) as LabRequest & { readonly id: number };
    serveOne(request as LabRequest, probes, (value) => say({ id, part: value })).then(
      (value) => say({ id, value }),
      (thrown: unknown) => say({ id, error: failure(thrown) }),
    );
  });
};

const listen = (): Promise<void> => {
  const file = labControlSocket(topology.id, plan.base);
  rmSync(file, { force: true });
  const server = createServer(serve);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(file, () => {
      chmodSync(file, 0o600);
      resolve();
    });
  });
};

const comeUp = async (): Promise<void> => {
  mkdirSync(topology.directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(topology.directory, 'lab.json'), JSON.stringify(topology), { mode: 0o600 });
  await listen();
  await lab.up();
  isUp = true;
};

process.on('SIGTERM', () => void end('SIGTERM'));
process.on('SIGINT', () => void end('SIGINT'));
process.on('disconnect', () => {
  if (!isUp) void end('its starter went away before it was up');
});

const coming = comeUp();
try {
  await coming;
  tellStarter({ t: 'up' });
} catch (thrown) {
  tellStarter({ t: 'failed', error: failure(thrown) });
  await end(reasonOf(thrown));
}
