// `understudy emulator`: the emulator alone, for one's own experiments and for tools like the AWS CLI. With --on-route it
// runs a command for each change of where packets go, and the API's answer waits for that command.
import { readFile } from 'node:fs/promises';
import type { CommandDefinition } from 'understudy/plugin';
import { reasonOf, systemExec, UnderstudyError } from 'understudy/plugin';
import { parse } from 'yaml';
import { startEmulator } from './emulator.js';
import type { OnRoute, RouteChange } from './follow.js';

const COMMAND_LIMIT_MS = 10_000;

export const emulatorCommand: CommandDefinition = {
  summary: 'Speaks the EC2 API and instance metadata over a VPC described in a file',
  options: [
    { flags: '--vpc <file>', help: 'the VPC, YAML or JSON' },
    { flags: '--listen <address>', help: 'ADDRESS:PORT', default: '127.0.0.1:4474' },
    {
      flags: '--on-route <command>',
      help: 'run for each change of where packets for an address go; told by UNDERSTUDY_ADDRESS, _ENI, _INSTANCE',
    },
  ],
  example: 'understudy emulator --vpc vpc.yaml --on-route ./route.sh',
  async run(options) {
    const file = options['vpc'];
    const listen = options['listen'];
    if (typeof file !== 'string') throw new UnderstudyError('USAGE', 'understudy emulator needs --vpc FILE: which VPC shall it show?');
    const onRoute = typeof options['onRoute'] === 'string' ? routeCommand(options['onRoute']) : undefined;
    const emulator = await startEmulator({
      vpc: await vpcFile(file),
      ...(typeof listen === 'string' && { listen }),
      ...(onRoute && { onRoute }),
      log: { debug: () => {}, info: print, warn: print, error: print },
    });
    process.stdout.write(
      `EC2 API and IMDSv2 at ${emulator.url}\nTry: AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws ec2 describe-route-tables --region ${emulator.vpc.region} --endpoint-url ${emulator.url}\n`,
    );
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    await emulator.stop();
    return 0;
  },
};

/** Runs the command, split at blanks, with the change in its environment; it has 10 s. */
export const routeCommand = (command: string): OnRoute => {
  const exec = systemExec();
  const [file = '', ...args] = command.split(/\s+/).filter((word) => word !== '');
  return async ({ address, interface: eni, instance, because }: RouteChange) => {
    const addEnv = {
      UNDERSTUDY_ADDRESS: address,
      UNDERSTUDY_ENI: eni ?? '',
      UNDERSTUDY_INSTANCE: instance ?? '',
      UNDERSTUDY_BECAUSE: because,
    };
    const { exitCode, timedOut, stderr } = await exec.run(file, args, { timeoutMs: COMMAND_LIMIT_MS, addEnv });
    if (exitCode === 0) return;
    const how = timedOut ? `did not end within ${COMMAND_LIMIT_MS / 1000} s` : `ended with ${exitCode}: ${stderr.trim()}`;
    throw new UnderstudyError('COMMAND_FAILED', `${command} for ${address} ${how}`);
  };
};

const vpcFile = async (file: string): Promise<Parameters<typeof startEmulator>[0]['vpc']> => {
  try {
    return parse(await readFile(file, 'utf8'), { merge: true, maxAliasCount: 100 }) as Parameters<typeof startEmulator>[0]['vpc'];
  } catch (thrown) {
    throw new UnderstudyError('CONFIG_INVALID', `${file} could not be read as a VPC: ${reasonOf(thrown)}`, { cause: thrown });
  }
};

const print = (message: string, data?: Record<string, unknown>): void => {
  process.stderr.write(`${message}${data === undefined ? '' : ` ${JSON.stringify(data)}`}\n`);
};
