// The plugin `fence-agents`: power fencing by the agents of the ClusterLabs project (Debian package fence-agents), unchanged. A
// plugin of its own, because it shares nothing with app-script: other protocol, other exit codes, secrets on stdin.
import { definePlugin } from 'understudy/plugin';

export default definePlugin({
  name: 'fence-agents',
  api: 1,
  fences: { exec: async () => (await import('./exec-fence.js')).execFence },
});
