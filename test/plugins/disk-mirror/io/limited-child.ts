// Run under a limit on the length of files (disk-errors.test): writes below it, across it and again below, a flush, a read; says
// what each answered, one line of JSON.
import { openBlockFile } from '../../../../plugins/disk-mirror/io/open-block-file.js';
import type { Done } from '../../../../plugins/disk-mirror/io/block-file.js';

const [path = '', limitBytes = '0', instant = 'yes'] = process.argv.slice(2);
const limit = Number(limitBytes);
process.on('SIGXFSZ', () => {}); // The default would end the process; the write answers EFBIG then.

const file = await openBlockFile(path, { sparse: true, instant: instant === 'yes' });
const told: (string | null)[] = [];
const asked = (call: (done: Done) => void): Promise<void> =>
  new Promise((resolve) =>
    call((error) => {
      told.push(error === null ? null : error.message);
      resolve();
    }),
  );
const bytes = Buffer.alloc(8192, 7);
await asked((done) => file.write(bytes, limit - 8192, done));
await asked((done) => file.write(bytes, limit - 4096, done));
await asked((done) => file.write(bytes, 0, done));
await asked((done) => file.flush(done));
await asked((done) => file.read(bytes, 0, done));
await file.close();
process.stdout.write(JSON.stringify(told));
