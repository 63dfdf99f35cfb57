// The disk-mirror plugin: the agent that moves a mirrored volume's role, the process that carries its bytes, and what
// an operator can do with one.
import { definePlugin } from 'understudy/plugin';
import { diskMirror } from './agent/definition.js';

export default definePlugin({
  name: 'disk-mirror',
  api: 1,
  agents: { 'disk-mirror': diskMirror },
  commands: { mirror: async () => (await import('./commands/mirror-command.js')).mirrorCommand },
  processes: { mirror: async () => (await import('./process/mirror-process.js')).mirrorProcess },
});
