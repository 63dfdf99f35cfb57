// The arbiters `dynamodb` and `s3` on any endpoint that speaks their protocol, as the contract suite wants them: the first
// client goes by a way with faults, the others straight.
import type { Arbiter, ArbiterContext } from 'understudy/arbiter';
import type { ArbiterFaults, ArbiterUnderTest } from 'understudy/testkit';
import { open as openDynamoDb } from '../../plugins/aws/dynamodb-arbiter.js';
import { open as openS3 } from '../../plugins/aws/s3-arbiter.js';
import { DynamoDbStore } from '../../plugins/aws/emulator/dynamodb-store.js';
import { S3Store } from '../../plugins/aws/emulator/s3-store.js';
import { type EmulatedStore, startStoreServer } from '../../plugins/aws/emulator/store-server.js';
import { HttpFaultProxy, type OwnAnswer } from './http-fault-proxy.js';

export const REGION = 'ap-northeast-2';
export const TABLE = 'understudy';
export const BUCKET = 'understudy';

/** So that the SDK finds keys, as it would those of a role. */
export const giveKeys = (): void =>
  void Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_EC2_METADATA_DISABLED: 'true' });

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
export const contextOf = (node: string, log: ArbiterContext['log'] = quiet): ArbiterContext => ({
  cluster: 'orders',
  node,
  key: Buffer.alloc(32),
  ports: {},
  log,
});

export type StoreKind = 'dynamodb' | 's3';

/** What moto takes in one transaction; DynamoDB takes 100. */
const MOTO_KEYS = 25;

export const openAt = (kind: StoreKind, endpoint: string, node = 'a', log: ArbiterContext['log'] = quiet): Promise<Arbiter> =>
  kind === 'dynamodb'
    ? openDynamoDb({ table: TABLE, region: REGION, endpoint }, contextOf(node, log), MOTO_KEYS)
    : openS3({ bucket: BUCKET, region: REGION, endpoint }, contextOf(node, log));

const json = (status: number, type: string, message: string): OwnAnswer => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.0' },
  body: JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message }),
});
const xml = (status: number, code: string, message: string): OwnAnswer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});
export const ANSWERS: Readonly<Record<StoreKind, Readonly<Record<'throttled' | 'denied', OwnAnswer>>>> = {
  dynamodb: {
    throttled: json(400, 'ProvisionedThroughputExceededException', 'The level of configured provisioned throughput was exceeded.'),
    denied: json(400, 'AccessDeniedException', 'not authorized to perform: dynamodb:PutItem'),
  },
  s3: { throttled: xml(503, 'SlowDown', 'Please reduce your request rate.'), denied: xml(403, 'AccessDenied', 'Access Denied') },
};

let stores = 0;

/** A store of its own for one test: on the same endpoint, under a prefix that no other test has. */
export const storeAt = async (
  kind: StoreKind,
  at: { readonly host: string; readonly port: number },
  faults: Pick<ArbiterFaults, 'forget' | 'backup' | 'restart'> = {},
): Promise<ArbiterUnderTest & { readonly proxy: HttpFaultProxy }> => {
  const proxy = new HttpFaultProxy(() => at);
  stores += 1;
  const node = `test-${stores}`;
  const clients = [await openAt(kind, await proxy.listen(), node)];
  return {
    proxy,
    arbiter: clients[0]!,
    prefix: `${node}/`,
    connect: async () => {
      const client = await openAt(kind, `http://${at.host}:${at.port}`, `${node}-${clients.length}`);
      clients.push(client);
      return client;
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await proxy.close();
    },
    faults: {
      lose: (what) => proxy.show(what),
      hold: () => Promise.resolve(proxy.hold()),
      reset: (on) => proxy.show(on ? 'reset' : 'none'),
      drip: (on) => proxy.show(on ? 'drip' : 'none'),
      throttle: (on) => proxy.show(on ? ANSWERS[kind].throttled : 'none'),
      deny: (on) => proxy.show(on ? ANSWERS[kind].denied : 'none'),
      ...faults,
    },
  };
};

/** The lab's own store for one test. */
export const labStore = async (
  kind: StoreKind,
  store: EmulatedStore = kind === 'dynamodb' ? new DynamoDbStore(TABLE) : new S3Store(BUCKET),
) => {
  const server = await startStoreServer(kind, store, '127.0.0.1');
  const made = await storeAt(
    kind,
    { host: '127.0.0.1', port: Number(new URL(server.url).port) },
    {
      forget: (key) => Promise.resolve(void store.forget(kind === 's3' ? key.replaceAll(' ', '%20') : key)),
      backup: () => {
        const restore = store.backup();
        return Promise.resolve(() => Promise.resolve(restore()));
      },
    },
  );
  return { ...made, server, store, close: () => made.close().then(() => server.stop()) };
};
