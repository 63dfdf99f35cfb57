// The templates say what the code does: the roles hold exactly the rights of the agent, the emulator's example is a VPC, and
// every option of the agents stands in the README.
import { readFileSync } from 'node:fs';
import test from 'ava';
import { Addresses, Clock, Random, systemClock } from 'understudy/plugin';
import { parse } from 'yaml';
import { loadPlugins } from '../../../core/plugin/load.js';
import { vpcFrom } from '../../../plugins/aws/emulator/vpc-file.js';
import { EC2_FENCE_OPTIONS } from '../../../plugins/aws/ec2-fence.js';
import aws from '../../../plugins/aws/index.js';
import { OVERLAY_IP_OPTIONS, overlayIpPermissions } from '../../../plugins/aws/overlay-ip.js';
import { SECONDARY_IP_OPTIONS } from '../../../plugins/aws/secondary-ip.js';
import { SECURITY_GROUP_FENCE_OPTIONS } from '../../../plugins/aws/security-group-fence.js';
import { SETTINGS } from '../../../plugins/aws/settings.js';
import { MemoryAddresses } from '../../support/memory-addresses.js';
import { middle } from './agent-world.js';
import { VIP } from './vpcs.js';

interface Template {
  readonly Resources: Readonly<
    Record<
      string,
      {
        readonly Properties: {
          readonly Policies?: readonly {
            readonly PolicyDocument: { readonly Statement: readonly { readonly Action: readonly string[]; readonly Resource: unknown }[] };
          }[];
        };
      }
    >
  >;
}

for (const [file, resource] of [
  ['overlay-ip-role.yaml', 'NodeRole'],
  ['shared-vpc-role.yaml', 'RouteRole'],
] as const) {
  test(`${file}: the rights of overlay-ip with its defaults, no more and no less`, (t) => {
    const template = parse(readFileSync(`templates/aws/${file}`, 'utf8')) as Template;
    const granted = template.Resources[resource]!.Properties.Policies![0]!.PolicyDocument.Statement;
    const needed = overlayIpPermissions(OVERLAY_IP_OPTIONS.parse({ address: VIP, routeTables: ['rtb-1'] }));
    t.deepEqual(
      granted.map(({ Action }) => Action),
      needed.map(({ actions }) => [...actions]),
    );
    t.deepEqual(
      granted.map(({ Resource }) => Resource),
      [['*'], { Ref: 'RouteTableArns' }],
    );
  });
}

test('emulator-vpc.yaml: a VPC, followed at the clients’ table', (t) => {
  const { vpc, clientTable } = vpcFrom(parse(readFileSync('templates/aws/emulator-vpc.yaml', 'utf8')));
  t.is(clientTable, 'rtb-clients');
  t.deepEqual(Object.keys(vpc.routeTables), ['rtb-clients', 'rtb-transit']);
});

test('README: every option of the agents and the fences, and every setting', (t) => {
  const readme = readFileSync('plugins/aws/README.md', 'utf8');
  const names = [OVERLAY_IP_OPTIONS, SECONDARY_IP_OPTIONS, EC2_FENCE_OPTIONS, SECURITY_GROUP_FENCE_OPTIONS, SETTINGS]
    .flatMap(({ shape }) => Object.keys(shape))
    .filter((name) => !['accessKeyId', 'secretAccessKey', 'sessionToken'].includes(name));
  t.deepEqual(
    names.filter((name) => !readme.includes(`\`${name}\``)),
    [],
  );
});

test('settings: keys in the config file are refused with words, the lab’s are taken', (t) => {
  const problems = SETTINGS.safeParse({ region: 'ap-northeast-2', accessKeyId: 'AKIA', secretAccessKey: 'x' }).error?.issues.map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );
  t.is(problems?.length, 2);
  t.regex(problems![0]!, /^accessKeyId: keys do not belong into the config file/);
  t.true(
    SETTINGS.safeParse({
      region: 'ap-northeast-2',
      endpoint: 'http://10.0.0.1:1',
      stsEndpoint: 'http://10.0.0.1:1',
      imdsEndpoint: 'http://10.0.0.1:1',
    }).success,
  );
});

test('the plugin: lists its contributions without loading the SDK', async (t) => {
  t.deepEqual(Object.keys(aws.agents), ['overlay-ip', 'secondary-ip']);
  const registered: string[] = [];
  await aws.provide(
    { value: (token) => void registered.push(String(token)), class: () => t.fail('nothing is built by the container here') },
    undefined,
  );
  t.deepEqual(registered, ['Symbol(aws.Imds)', 'Symbol(aws.Ec2)', 'Symbol(aws.Instances)']);
});

test('the container builds both agents with what the plugin provides', async (t) => {
  const services = new Map<symbol, unknown>([
    [Addresses, new MemoryAddresses()],
    [Clock, systemClock],
    [Random, middle],
  ]);
  const registry = await loadPlugins({ directories: [], services, settings: { aws: { region: 'ap-northeast-2' } } });
  t.deepEqual(registry.found.find(({ name }) => name === 'aws')?.problems, []);
  for (const type of ['overlay-ip', 'secondary-ip']) t.is(typeof (await registry.instance(type)).monitor, 'function');
});
