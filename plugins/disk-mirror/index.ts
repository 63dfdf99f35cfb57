// The disk-mirror plugin: the agent that moves a mirrored volume's role, and the process that carries its bytes.
import { definePlugin } from 'understudy/plugin';
import { diskMirror } from './agent/definition.js';

export default definePlugin({
  name: 'disk-mirror',
  api: 1,
  agents: { 'disk-mirror': diskMirror },
  processes: { mirror: async () => (await import('./process/mirror-process.js')).mirrorProcess },
});
