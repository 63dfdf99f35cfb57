// The arbiters `dynamodb` and `s3` under the whole contract, by a way that loses, holds, resets and throttles: on moto, a store
// that understudy did not write, and on the lab's stores, which must pass the same.
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { CreateTableCommand, DeleteItemCommand, DynamoDBClient, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { CreateBucketCommand, DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import test from 'ava';
import { arbiterContract } from 'understudy/testkit';
import { BUCKET, REGION, TABLE, giveKeys, labStore, storeAt } from '../support/cloud-stores.js';
import { pythonTool } from '../support/python-tools.js';
import { until } from '../support/until.js';

giveKeys();
const path = pythonTool('moto_server', 'moto[server]==5.2.1');
const free = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
};

let moto: ChildProcess | null = null;
const at = { host: '127.0.0.1', port: 0 };
const config = () => ({
  region: REGION,
  endpoint: `http://127.0.0.1:${at.port}`,
  credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  maxAttempts: 1,
});

test.before(async () => {
  if (path === null) return;
  at.port = await free();
  moto = spawn(path, ['-H', '127.0.0.1', '-p', String(at.port)], { stdio: 'ignore', detached: true });
  const ready = () =>
    fetch(`${config().endpoint}/moto-api/`).then(
      ({ ok }) => ok,
      () => false,
    ); // Refused: not yet.
  await until('moto answers', ready, 60_000);
  await new DynamoDBClient(config()).send(
    new CreateTableCommand({
      TableName: TABLE,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'key', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }],
    }),
  );
  await new S3Client({ ...config(), forcePathStyle: true }).send(
    new CreateBucketCommand({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: REGION } }),
  );
});
test.after.always(() => void (moto?.pid !== undefined && process.kill(-moto.pid, 'SIGKILL')));

const dynamoDbFaults = () => {
  const client = new DynamoDBClient(config());
  return {
    forget: async (key: string) => void (await client.send(new DeleteItemCommand({ TableName: TABLE, Key: { key: { S: key } } }))),
    backup: async () => {
      const { Items = [] } = await client.send(new ScanCommand({ TableName: TABLE }));
      return async () => {
        for (const Item of Items.filter(({ key }) => key?.S?.includes('restored') === true))
          await client.send(new PutItemCommand({ TableName: TABLE, Item }));
      };
    },
  };
};
const s3Faults = () => {
  const client = new S3Client({ ...config(), forcePathStyle: true });
  return {
    forget: async (key: string) => void (await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key.replace(' ', '%20') }))),
  };
};

if (path === null)
  test('moto', (t) => {
    t.log('skipped: moto_server is not installed (pip install moto[server]==5.2.1)');
    t.pass();
  });
else {
  arbiterContract(test.serial, 'dynamodb on moto', () => storeAt('dynamodb', at, dynamoDbFaults()));
  arbiterContract(test.serial, 's3 on moto', () => storeAt('s3', at, s3Faults()));
}
for (const kind of ['dynamodb', 's3'] as const) arbiterContract(test.serial, `${kind} of the lab`, () => labStore(kind));
