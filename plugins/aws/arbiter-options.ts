// The arbiters `dynamodb` and `s3` as the config names them, and the rights they need. Credentials never stand in the config:
// they come from the instance's role, the environment, or a profile of the AWS configuration.
import { type PermissionStatement, choice, defineArbiter, options, text, z } from 'understudy/plugin';
import { open as openDynamoDb } from './dynamodb-arbiter.js';
import { open as openS3 } from './s3-arbiter.js';

const access = {
  region: text('Region; default: $AWS_REGION, then the one the instance is in (IMDS)')
    .regex(/^[a-z]{2}(-[a-z]+)+-\d+$/, 'a region looks like ap-northeast-2')
    .optional(),
  endpoint: z.url().describe('Endpoint, for an interface endpoint, a compatible store or the lab; default: AWS’s own').optional(),
  imdsEndpoint: z.url().describe('Instance metadata endpoint from which alone the credentials come; default: the usual chain').optional(),
  profile: text('Profile of ~/.aws/config; default: the usual chain').optional(),
};

/** What the lease keys of a cluster begin with. */
const keysOf = (cluster: string): string => `understudy/${cluster}/`;

export const dynamoDbArbiter = defineArbiter({
  summary: 'Leases in a DynamoDB table: conditional writes, consistent reads, no TTL. For `fast` and slower timings.',
  options: options({
    table: text('Name of the table; its partition key is `key`, a string').regex(/^[A-Za-z0-9_.-]{3,255}$/, 'write a table name'),
    ...access,
  }),
  minRenewMs: 1_000,
  open: openDynamoDb,
  permissions: ({ table, region }, { cluster }): readonly PermissionStatement[] => {
    const on = `arn:aws:dynamodb:${region ?? '*'}:*:table/${table}`;
    return [
      {
        actions: ['dynamodb:GetItem', 'dynamodb:PutItem'],
        resources: [on],
        conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [`${keysOf(cluster)}*`] } },
        why: 'read and write the leases and orders of this cluster, and nothing else in the table; never delete',
      },
      { actions: ['dynamodb:DescribeTimeToLive'], resources: [on], why: 'refuse a table that deletes items by itself' },
    ];
  },
});

export const s3Arbiter = defineArbiter({
  summary: 'Leases in an S3 bucket: conditional writes of small objects. For `standard` and slower timings.',
  options: options({
    bucket: text('Name of the bucket').regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'write a bucket name'),
    prefix: text('Before every object, e.g. ha/')
      .regex(/^[A-Za-z0-9!_.*'()/-]{0,200}$/, 'write plain characters, e.g. ha/')
      .optional(),
    pathStyle: z.boolean().optional().describe('ENDPOINT/BUCKET rather than BUCKET.ENDPOINT; default: true with an endpoint of your own'),
    encryption: choice('Server-side encryption to ask for; default: the bucket’s own', ['AES256', 'aws:kms']).optional(),
    kmsKeyId: text('The key for aws:kms; default: the bucket’s own').optional(),
    ...access,
  }),
  minRenewMs: 2_000,
  open: openS3,
  permissions: ({ bucket, prefix = '', kmsKeyId }, { cluster }): readonly PermissionStatement[] => [
    {
      actions: ['s3:GetObject', 's3:PutObject'],
      resources: [`arn:aws:s3:::${bucket}/${prefix}${keysOf(cluster)}*`],
      why: 'read and write the leases and orders of this cluster; never delete',
    },
    {
      actions: ['s3:ListBucket'],
      resources: [`arn:aws:s3:::${bucket}`],
      conditions: { StringLike: { 's3:prefix': [`${prefix}${keysOf(cluster)}*`] } },
      why: 'without it S3 says of an absent object that it is forbidden, and a first lease could not be made',
    },
    ...(kmsKeyId === undefined
      ? []
      : [{ actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [kmsKeyId], why: 'the objects are encrypted with it' }]),
  ],
});
