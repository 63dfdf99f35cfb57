// The witness plugin: an arbiter for clusters that have no other store, its server as a command, and one for the lab.
import { definePlugin } from 'understudy/plugin';

export default definePlugin({
  name: 'witness',
  api: 1,
  arbiters: { witness: async () => (await import('./arbiter.js')).witnessArbiter },
  commands: { witness: async () => (await import('./command.js')).witnessCommand },
  labServices: { witness: async () => (await import('./lab-service.js')).witnessLabService },
});
