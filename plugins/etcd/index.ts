// The etcd plugin: an arbiter on a store that survives the loss of a machine, and one for the lab.
import { definePlugin } from 'understudy/plugin';

export default definePlugin({
  name: 'etcd',
  api: 1,
  labServices: { etcd: async () => (await import('./lab-service.js')).etcdLabService },
  arbiters: { etcd: async () => (await import('./arbiter.js')).etcdArbiter },
});
