// LinuxAddresses from the command line, for tests that run it inside a network namespace. Prints one line of JSON.
import 'reflect-metadata';
import { LinuxAddresses } from '../../core/system/addresses-linux.js';
import { systemClock } from '../../core/system/clock.js';
import { PosixExec } from '../../core/system/exec-posix.js';

const addresses = new LinuxAddresses(new PosixExec(systemClock), systemClock);
const [command, interfaceName = '', address = '', number = '0'] = process.argv.slice(2);
const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

if (command === 'add')
  await addresses.add(interfaceName, address, Number(number), process.argv[6] === undefined ? {} : { label: process.argv[6] });
else if (command === 'remove') await addresses.remove(address);
else if (command === 'announce') await addresses.announce(interfaceName, address, Number(number));
else if (command === 'owner') say(await addresses.owner(interfaceName, address, Number(number)));
else if (command === 'list') say(await addresses.list());
else if (command === 'watch') {
  let changes = 0;
  const end = addresses.watch(() => {
    changes += 1;
    say({ changes });
  });
  say({ changes });
  const keep = setInterval(() => {}, 1000);
  process.stdin.on('data', () => {
    end();
    clearInterval(keep);
    process.stdin.destroy();
  });
} else throw new Error(`no such command: ${command}`);
