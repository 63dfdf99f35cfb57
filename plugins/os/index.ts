// What belongs to the operating system itself: its addresses. Contributions only; each agent is loaded when first used.
import { definePlugin } from 'understudy/plugin';
import { ipAddress } from './definition.js';

export default definePlugin({
  name: 'os',
  api: 1,
  agents: { 'ip-address': ipAddress },
});
