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
  fences: {
    ec2: async () => (await import('./ec2-fence.js')).ec2Fence,
    'security-group': async () => (await import('./security-group-fence.js')).securityGroupFence,
  },
  arbiters: {
    dynamodb: async () => (await import('./arbiter-options.js')).dynamoDbArbiter,
    s3: async () => (await import('./arbiter-options.js')).s3Arbiter,
  },
  commands: { emulator: async () => (await import('./emulator/command.js')).emulatorCommand },
  labServices: {
    ec2: async () => (await import('./emulator/lab-service.js')).ec2LabService,
    dynamodb: async () => (await import('./emulator/store-lab-services.js')).dynamoDbLabService,
    s3: async () => (await import('./emulator/store-lab-services.js')).s3LabService,
  },
  provide: async (register, settings) => {
    const [{ AwsEc2, Ec2 }, { Ec2Clients }, { HttpImds, Imds }, { AwsInstances, Instances }] = await Promise.all([
      import('./ec2.js'),
      import('./ec2-clients.js'),
      import('./imds.js'),
      import('./instances.js'),
    ]);
    const parsed = SETTINGS.parse(settings ?? {});
    const endpoint = parsed.imdsEndpoint ?? process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? 'http://169.254.169.254';
    const imds = new HttpImds({ endpoint, clock: systemClock, random: systemRandom });
    register.value(Imds, imds);
    const ec2 = new AwsEc2(new Ec2Clients(parsed, imds), systemClock);
    register.value(Ec2, ec2);
    register.value(Instances, new AwsInstances(ec2));
  },
});
