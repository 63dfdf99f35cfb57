#!/usr/bin/env node
// Says so and exits 2 on a Node that is too old; then hands over. Nothing newer than Node 20 may be used in this file.
import module from 'node:module';

const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(
    `understudy needs Node.js 24 or newer, and this is ${process.version}.\n` +
      'Install Node.js 24. In a clone, npm ci has brought one: npm run understudy -- COMMAND\n',
  );
  process.exitCode = 2;
} else {
  const [word, ...words] = process.argv.slice(2);
  const { enterDaemon, isDaemon } = await import('../daemon/daemon-entry.js');
  // A daemon lives for months and must be back at once after a crash: the command line's libraries stay out of it.
  if (isDaemon(word) && !words.some((each) => each === '--help' || each === '-h')) await enterDaemon(word, words);
  else {
    module.enableCompileCache?.();
    await import('./main.js');
  }
}
