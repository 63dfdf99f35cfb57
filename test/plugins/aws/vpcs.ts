// The VPC most tests of the AWS plugin are set in: two zones, three route tables with the overlay address, an instance with
// two interfaces, an elastic address.
import type { VpcFile } from '../../../plugins/aws/emulator/vpc-file.js';

export const VIP = '192.168.0.10';
export const VIP6 = 'fd00:ffff::10';

export const twoZones = ({ a = '10.0.1.10', aSubnet = '10.0.1.0/24', check = false } = {}): VpcFile => {
  const routes = [
    { to: `${VIP}/32`, interface: 'eni-a' },
    { to: `${VIP6}/128`, interface: 'eni-a' },
  ];
  return {
    vpcs: { 'vpc-1': { cidr: '10.0.0.0/16', ipv6Cidr: 'fd00::/16' } },
    subnets: {
      'subnet-a': { vpc: 'vpc-1', cidr: aSubnet, zone: 'ap-northeast-2a' },
      'subnet-b': { vpc: 'vpc-1', cidr: '10.0.2.0/24', ipv6Cidr: 'fd00:2::/64', zone: 'ap-northeast-2c' },
    },
    instances: { 'i-a': { zone: 'ap-northeast-2a', tags: { Name: 'a' } }, 'i-b': { zone: 'ap-northeast-2c', tags: { Name: 'b' } } },
    interfaces: {
      'eni-a': { subnet: 'subnet-a', address: a, instance: 'i-a', sourceDestCheck: check },
      'eni-b': { subnet: 'subnet-b', address: '10.0.2.10', secondary: ['10.0.2.50'], instance: 'i-b', sourceDestCheck: check },
      'eni-b2': { subnet: 'subnet-b', address: '10.0.2.11', instance: 'i-b', deviceIndex: 1, sourceDestCheck: false },
    },
    routeTables: {
      'rtb-1': { vpc: 'vpc-1', routes, tags: { role: 'clients' } },
      'rtb-2': { vpc: 'vpc-1', routes },
      'rtb-3': { vpc: 'vpc-1', routes },
    },
    elastic: { 'eipalloc-1': { publicIp: '203.0.113.10' } },
  };
};
