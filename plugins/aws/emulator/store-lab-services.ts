// DynamoDB and S3 of the lab: the real clients and their wire protocol, no account, no cost. `understudy lab up --arbiter
// dynamodb`. Credentials come from the metadata that the service itself serves, so no host needs any.
import { createServer } from 'node:http';
import type { LabService, LabServiceContext, LabServiceDefinition } from 'understudy/plugin';
import { DynamoDbStore } from './dynamodb-store.js';
import { S3Store } from './s3-store.js';
import { type EmulatedStore, startStoreServer } from './store-server.js';

const NAME = 'understudy-lab';
const REGION = 'ap-northeast-2';
const ROLE = 'lab';

export const dynamoDbLabService: LabServiceDefinition = {
  summary: 'A DynamoDB table that keeps the lab’s leases; --arbiter dynamodb, timing fast or slower.',
  arbiter: true,
  start: (context) => start('dynamodb', new DynamoDbStore(NAME), { table: NAME }, context),
};

export const s3LabService: LabServiceDefinition = {
  summary: 'An S3 bucket that keeps the lab’s leases; --arbiter s3, timing standard or slower.',
  arbiter: true,
  start: (context) => start('s3', new S3Store(NAME), { bucket: NAME }, context),
};

const start = async (
  use: string,
  store: EmulatedStore,
  place: Readonly<Record<string, string>>,
  { listenAddress }: LabServiceContext,
): Promise<LabService> => {
  const server = await startStoreServer(use, store, listenAddress);
  const metadata = await startKeys(listenAddress);
  return {
    config: { arbiter: { use, ...place, region: REGION, endpoint: server.url, imdsEndpoint: metadata.url } },
    fault: (words) => Promise.resolve(server.fault(words)),
    state: () => ({ url: server.url, keys: store.keys(), requests: server.requests }),
    stop: async () => {
      await server.stop();
      await metadata.stop();
    },
  };
};

/** Just enough of IMDSv2 for a role's keys; nobody checks them here. */
const startKeys = async (listen: string): Promise<{ readonly url: string; stop(): Promise<void> }> => {
  const base = '/latest/meta-data/iam/security-credentials/';
  const answers: Readonly<Record<string, string>> = {
    'PUT /latest/api/token': 'token',
    [`GET ${base}`]: ROLE,
    [`GET ${base}${ROLE}`]: JSON.stringify({
      AccessKeyId: 'lab',
      SecretAccessKey: 'lab',
      Token: 'lab',
      Expiration: '2099-01-01T00:00:00Z',
    }),
  };
  const server = createServer((asked, response) => {
    const text = answers[`${asked.method} ${asked.url}`];
    asked.resume();
    response.writeHead(text === undefined ? 404 : 200).end(text ?? '');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, listen, resolve);
  });
  const { port } = server.address() as { port: number };
  return {
    url: `http://${listen.includes(':') ? `[${listen}]` : listen}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
