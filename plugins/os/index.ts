// What belongs to the operating system itself: its addresses and its filesystems. Contributions only; each agent is loaded when first used.
import { definePlugin } from 'understudy/plugin';
import { ipAddress } from './definition.js';
import { filesystem } from './filesystem/definition.js';

export default definePlugin({
  name: 'os',
  api: 1,
  agents: { 'ip-address': ipAddress, filesystem },
  provide: async (register) => {
    const { linuxMountHost, MountHost } = await import('./filesystem/host.js');
    register.value(MountHost, linuxMountHost);
  },
});
