// The AWS plugin: what it contributes, nothing of how. Everything heavy (the SDK, the emulator) is loaded when first used.
import { definePlugin } from 'understudy/plugin';
import { SETTINGS } from './settings.js';

export default definePlugin({
  name: 'aws',
  api: 1,
  settings: SETTINGS,
  commands: { emulator: async () => (await import('./emulator/command.js')).emulatorCommand },
  labServices: { ec2: async () => (await import('./emulator/lab-service.js')).ec2LabService },
});
