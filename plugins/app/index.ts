// Applications: what runs on the active node. Contributions only; each agent has a file of its own, loaded when first used.
import { definePlugin } from 'understudy/plugin';
import { appScript } from './definition.js';

export default definePlugin({
  name: 'app',
  api: 1,
  agents: { 'app-script': appScript },
});
