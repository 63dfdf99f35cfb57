// Real processes, network namespaces, third-party programs. One file at a time: they share the machine.
export default {
  files: ['test/e2e/**/*.test.ts'],
  typescript: { rewritePaths: { 'test/': 'dist/test/' }, compile: false },
  require: ['./dist/test/_setup.js'],
  workerThreads: false,
  concurrency: 1,
  serial: true,
  timeout: '10m',
};
