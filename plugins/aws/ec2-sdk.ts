// Exactly what is used of the AWS SDK, and the only file that names it. The build bundles this file (.ci/bundle.js): the
// whole client costs 80 MB and 0.3 s at run time, this part of it half. Loaded by dynamic import only.
export {
  AssignPrivateIpAddressesCommand,
  CreateRouteCommand,
  DeleteRouteCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
  ReplaceRouteCommand,
  StopInstancesCommand,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2';
export { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
