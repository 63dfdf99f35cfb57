// understudy keygen FILE: makes the cluster key, readable by its owner alone. The same file belongs on every node. With
// --rotate it takes an existing one a step towards a new key.
import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { reasonOf, UnderstudyError } from '../../errors/errors.js';
import { generateKey, ROTATION_STEPS, rotateKeyFile, type RotationStep } from '../../system/key-file.js';
import { systemRandom } from '../../system/random.js';
import { print } from '../output.js';

export const define = (command: Command): void => {
  command
    .argument('<file>', 'where to write it, e.g. /etc/understudy/cluster.key')
    .addOption(
      new Option('--rotate <step>', 'change an existing file: add a new key beside it, use the new one, drop the old one').choices([
        ...ROTATION_STEPS,
      ]),
    )
    .addHelpText('after', '\nExample: understudy keygen /etc/understudy/cluster.key')
    .action((file: string, { rotate }: { readonly rotate?: RotationStep }) => {
      if (rotate !== undefined) return rotated(file, rotate);
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

const NEXT: Readonly<Record<RotationStep, string>> = {
  add: 'signs with the old key, understands both',
  use: 'signs with the new key, understands both',
  drop: 'knows the new key alone',
};

const rotated = (file: string, step: RotationStep): void => {
  const { current, all } = rotateKeyFile(file, step, systemRandom);
  print(`${file}: ${NEXT[step]} (signs with ${current.id}, verifies ${all.map(({ id }) => id).join(' and ')})`);
  print('Copy it to every node and the witness and restart their daemons, one node after the other, before the next step.');
};
