// The application of a drill: appends numbered lines to a file and fsyncs each; a number is noted elsewhere once its fsync came
// back. `node fsync-writer.js FILE NOTES`: the notes end with `error: …` when the file system said no. Ended by SIGTERM, between
// two lines.
import { fsyncSync, openSync, writeSync } from 'node:fs';

const [file = '', notes = ''] = process.argv.slice(2);
const [data, note] = [openSync(file, 'a'), openSync(notes, 'a')];
let over = false;
process.on('SIGTERM', () => (over = true));

/** Long enough that lines cross pages and blocks. */
const lineOf = (number: number): string => `line ${String(number).padStart(8, '0')} ${'x'.repeat(number % 900)}\n`;

const write = (number: number): void => {
  if (over) return;
  try {
    writeSync(data, lineOf(number));
    fsyncSync(data);
  } catch (error) {
    writeSync(note, `error: ${String(error)}\n`);
    process.exitCode = 1;
    return;
  }
  writeSync(note, `${number}\n`);
  setImmediate(() => write(number + 1));
};
write(1);
