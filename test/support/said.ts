// What a command writes to its standard output, and its exit code. One at a time: the stream is the process's own.
export const said = async (run: () => Promise<number>): Promise<{ readonly code: number; readonly out: string }> => {
  const { write } = process.stdout;
  const parts: string[] = [];
  process.stdout.write = ((text: string | Uint8Array) => {
    parts.push(typeof text === 'string' ? text : Buffer.from(text).toString());
    return true;
  }) as typeof write;
  try {
    return { code: await run(), out: parts.join('') };
  } finally {
    process.stdout.write = write;
  }
};
