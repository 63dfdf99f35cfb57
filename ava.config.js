// Tests are compiled first; AVA maps test/**/*.test.ts to dist/test/**/*.test.js and reports the .ts names and lines.
// Suites that need root or other programs live in test/e2e and are run by .ci/run through ava.e2e.config.js.
export default {
  files: ['test/**/*.test.ts', '!test/e2e/**'],
  typescript: { rewritePaths: { 'test/': 'dist/test/' }, compile: false },
  require: ['./dist/test/_setup.js'],
  workerThreads: false,
  // Several suites run real processes against real time: two files at once leave them the processor they count on.
  concurrency: 2,
  timeout: '60s',
};
