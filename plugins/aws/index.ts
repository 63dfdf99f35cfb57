// The AWS plugin: what it contributes, nothing of how. Everything heavy (the SDK, the emulator) is loaded when first used.
import { definePlugin, systemClock, systemRandom } from 'understudy/plugin';
import { overlayIp } from './overlay-ip.js';
import { secondaryIp } from './secondary-ip.js';
import { SETTINGS } from './settings.js';

export default definePlugin({
  name: 'aws',
  api: 1,
  settings: SETTINGS,
  agents: { 'overlay-ip': overlayIp, 'secondary-ip': secondaryIp },
  commands: { emulator: async () => (await import('./emulator/command.js')).emulatorCommand },
  labServices: { ec2: async () => (await import('./emulator/lab-service.js')).ec2LabService },
  provide: async (register, settings) => {
    const [{ AwsEc2, Ec2 }, { Ec2Clients }, { HttpImds, Imds }] = await Promise.all([
      import('./ec2.js'),
      import('./ec2-clients.js'),
      import('./imds.js'),
    ]);
    const parsed = SETTINGS.parse(settings ?? {});
    const endpoint = parsed.imdsEndpoint ?? process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? 'http://169.254.169.254';
    const imds = new HttpImds({ endpoint, clock: systemClock, random: systemRandom });
    register.value(Imds, imds);
    register.value(Ec2, new AwsEc2(new Ec2Clients(parsed, imds), systemClock));
  },
});
