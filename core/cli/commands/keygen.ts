// understudy keygen FILE: makes the cluster key, readable by its owner alone. The same file belongs on every node.
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { reasonOf, UnderstudyError } from '../../errors/errors.js';
import { generateKey } from '../../system/key-file.js';
import { systemRandom } from '../../system/random.js';
import { print } from '../output.js';

export const define = (command: Command): void => {
  command
    .argument('<file>', 'where to write it, e.g. /etc/understudy/cluster.key')
    .addHelpText('after', '\nExample: understudy keygen /etc/understudy/cluster.key')
    .action((file: string) => {
      try {
        // `wx`: a key that is in use is never overwritten by accident.
        writeFileSync(file, generateKey(systemRandom), { mode: 0o400, flag: 'wx' });
      } catch (cause) {
        throw new UnderstudyError('COMMAND_FAILED', `cannot write the key to ${file}: ${reasonOf(cause)}`, {
          cause,
          hint: 'Name a file that does not exist yet, in a directory that you may write to.',
        });
      }
      print(`wrote ${file} (mode 0400)`);
      print('Copy it to the same path on every node, over a channel you trust.');
    });
};
