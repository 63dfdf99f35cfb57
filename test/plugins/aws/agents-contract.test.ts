// The contract suite of agents, on both address agents of the AWS plugin, with the real SDK against the emulator.
import test from 'ava';
import { systemClock } from 'understudy/plugin';
import { agentContract } from 'understudy/testkit';
import { OverlayIpAgent } from '../../../plugins/aws/overlay-ip-agent.js';
import { OVERLAY_IP_OPTIONS, overlayIp } from '../../../plugins/aws/overlay-ip.js';
import { SecondaryIpAgent } from '../../../plugins/aws/secondary-ip-agent.js';
import { SECONDARY_IP_OPTIONS, secondaryIp } from '../../../plugins/aws/secondary-ip.js';
import { middle, startWorld } from './agent-world.js';
import { VIP } from './vpcs.js';

const worldOf = async () => {
  const ends: (() => Promise<void>)[] = [];
  const { ec2, imds, addresses, emulator } = await startWorld((end) => void ends.push(end));
  return {
    parts: [ec2, imds, addresses, systemClock, middle] as const,
    world: () => [addresses.all, emulator.vpc],
    breakDependency: () => {
      emulator.fault({ kind: 'throttle' });
      addresses.broken = new Error('no answer from the kernel');
    },
    end: () => Promise.all(ends.map((end) => end())),
  };
};

agentContract(test, 'overlay-ip', async () => {
  const { parts, ...rest } = await worldOf();
  const options = OVERLAY_IP_OPTIONS.parse({ address: VIP, routeTables: ['rtb-1', 'rtb-2'], interface: 'eth0', eni: 'eni-b' });
  return { definition: overlayIp, agent: new OverlayIpAgent(...parts), options, ...rest };
});

agentContract(test, 'secondary-ip', async () => {
  const { parts, ...rest } = await worldOf();
  const options = SECONDARY_IP_OPTIONS.parse({ address: '10.0.2.50', interface: 'eth0', eni: 'eni-b2' });
  return { definition: secondaryIp, agent: new SecondaryIpAgent(...parts), options, ...rest };
});
