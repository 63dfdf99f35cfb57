// The witness of the lab: outside the hosts, on the lab's own address, with a state of its own for each lab.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type LabService, type LabServiceContext, type LabServiceDefinition, UnderstudyError, loadKeys } from 'understudy/plugin';
import { newStateId } from './command.js';
import { startWitness, type Witness } from './server.js';
import { createStateFile } from './state-file.js';

export const witnessLabService: LabServiceDefinition = {
  summary: 'The witness that keeps the lab’s leases; fault words: down, up.',
  arbiter: true,
  async start({ directory, listenAddress, keyFile, log }: LabServiceContext): Promise<LabService> {
    const stateFile = join(directory, 'witness.state');
    if (!existsSync(stateFile)) await createStateFile(stateFile, newStateId());
    const keys = loadKeys(keyFile);
    const start = (port: number) => startWitness({ host: listenAddress, port, stateFile, keys, log });
    let witness: Witness | null = await start(0);
    const { address } = witness;
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    return {
      config: { arbiter: { use: 'witness', address } },
      async fault([word]) {
        if (word !== 'down' && word !== 'up')
          throw new UnderstudyError('USAGE', `the witness of the lab can be told down or up, not ${word ?? 'nothing'}`);
        if (word === 'down') {
          await witness?.close();
          witness = null;
        } else witness ??= await start(port);
        return `the witness is ${word}`;
      },
      state: () =>
        witness === null ? { address, up: false } : { address, up: true, stateId: witness.stateId, generation: witness.generation() },
      stop: async () => {
        await witness?.close();
        witness = null;
      },
    };
  },
};
