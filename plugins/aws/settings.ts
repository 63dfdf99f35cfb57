// The top-level config key `aws:`. Credentials never stand in it: they come from the instance's role, the environment, a
// profile of the AWS configuration, or an assumed role.
import { options, text, z } from 'understudy/plugin';

const noSecret = z
  .never({ error: 'keys do not belong into the config file: use the instance role, a profile of ~/.aws/config, or assumeRole' })
  .optional();

export const SETTINGS = options({
  region: text('Region; default: the one the instance is in (IMDS)')
    .regex(/^[a-z]{2}(-[a-z]+)+-\d+$/, 'a region looks like ap-northeast-2')
    .optional(),
  endpoint: z.url().describe('EC2 endpoint, for an interface endpoint or the lab; default: AWS’s own').optional(),
  stsEndpoint: z.url().describe('STS endpoint, used with assumeRole; default: AWS’s own in the region').optional(),
  imdsEndpoint: z
    .url()
    .describe('Instance metadata endpoint; default $AWS_EC2_METADATA_SERVICE_ENDPOINT, then http://169.254.169.254')
    .optional(),
  profile: text('Profile of ~/.aws/config; default: the usual chain').optional(),
  accessKeyId: noSecret,
  secretAccessKey: noSecret,
  sessionToken: noSecret,
});
export type Settings = z.output<typeof SETTINGS>;
