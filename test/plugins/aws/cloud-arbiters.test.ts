// The arbiters `dynamodb` and `s3` on the lab's stores, and what is their own: own writes delivered twice,
// tables and endpoints that may not keep leases, wrong clocks, credentials, and what the keys cost.
import test, { type ExecutionContext } from 'ava';
import { ArbiterError } from 'understudy/arbiter';
import { dynamoDbArbiter, s3Arbiter } from '../../../plugins/aws/arbiter-options.js';
import { DynamoDbStore } from '../../../plugins/aws/emulator/dynamodb-store.js';
import { S3Store } from '../../../plugins/aws/emulator/s3-store.js';
import type { EmulatedStore } from '../../../plugins/aws/emulator/store-server.js';
import { keptFresh } from '../../../plugins/aws/store-access.js';
import { BUCKET, type StoreKind, TABLE, giveKeys, labStore } from '../../support/cloud-stores.js';
import type { OwnAnswer } from '../../support/http-fault-proxy.js';
import { until } from '../../support/until.js';

giveKeys();
const soon = () => AbortSignal.timeout(8_000);

const world = async (t: ExecutionContext, kind: StoreKind, store?: EmulatedStore) => {
  const made = await labStore(kind, store);
  t.teardown(() => made.close());
  return made;
};

for (const kind of ['dynamodb', 's3'] as const) {
  test(`${kind}: the wrong clock of a host is named, in words`, async (t) => {
    const { arbiter, proxy } = await world(t, kind);
    await arbiter.read(['x'], soon());
    const date = new Date(Date.now() + 3_600_000).toUTCString(); // The store's clock against this host's.
    const skewed: OwnAnswer =
      kind === 's3'
        ? {
            status: 403,
            headers: { date },
            body: '<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>',
          }
        : {
            status: 400,
            headers: { date, 'content-type': 'application/x-amz-json-1.0' },
            body: JSON.stringify({
              __type: 'com.amazon.coral.service#InvalidSignatureException',
              message: 'Signature expired: 20260101T000000Z',
            }),
          };
    proxy.show(skewed);
    const error = await t.throwsAsync(arbiter.cas('x', null, '1', soon()), { instanceOf: ArbiterError });
    t.regex(error?.message ?? '', /the clock of this host is behind by 3(59\d|60\d) s/);
    t.is(error?.kind, 'refused');
    proxy.show('none');
    t.is((await arbiter.cas('x', null, '1', soon())).outcome, 'done', 'and the next request is signed with the right time');
  });

  test(`${kind}: an own write that is delivered twice is a success, not a conflict`, async (t) => {
    const { arbiter, proxy } = await world(t, kind);
    const first = await arbiter.cas('twice', null, '1', soon());
    proxy.repeat = true;
    const second = await arbiter.cas('twice', first.outcome === 'done' ? first.version : '', '2', soon());
    proxy.repeat = false;
    t.is(second.outcome, 'done');
    t.like((await arbiter.read(['twice'], soon()))[0], { value: '2', version: second.outcome === 'done' ? second.version : '' });
  });

  test(`${kind}: down, up, latency, lost answers, a deleted key, a backup, as typed`, async (t) => {
    const { arbiter, server } = await world(t, kind);
    const first = await arbiter.cas('typed', null, '1', soon());
    t.is(first.outcome, 'done');
    server.fault(['down']);
    await t.throwsAsync(arbiter.read(['typed'], soon()), { message: /no answer from/ });
    server.fault(['up']);
    server.fault(['backup']);
    server.fault(['lost-answer', '1', 'times']);
    await t.throwsAsync(arbiter.cas('typed', first.outcome === 'done' ? first.version : '', '2', AbortSignal.timeout(100)));
    t.is((await arbiter.read(['typed'], soon()))[0]?.value, '2');
    server.fault(['restore']);
    t.is((await arbiter.read(['typed'], soon()))[0]?.value, '1');
    server.fault(['forget', 'typed']);
    t.deepEqual(await arbiter.read(['typed'], soon()), [null]);
    server.fault(['latency', '60ms']);
    await t.throwsAsync(arbiter.read(['typed'], AbortSignal.timeout(30)));
    t.throws(() => server.fault(['nonsense']), { message: /Write: down/ });
  });
}

test('dynamodb: a table that deletes items by itself is refused; one that is not there says how to make it', async (t) => {
  const store = new DynamoDbStore(TABLE);
  store.ttlAttribute = 'expires';
  const { arbiter } = await world(t, 'dynamodb', store);
  await until('the table is found out', () =>
    arbiter.read(['x'], soon()).then(
      () => false,
      () => true,
    ),
  ); // Refused: found out.
  await t.throwsAsync(arbiter.cas('x', null, '1', soon()), { message: /deletes items by their attribute expires/ });
  const absent = await world(t, 'dynamodb', new DynamoDbStore('another'));
  await t.throwsAsync(absent.arbiter.read(['x'], soon()), { message: /aws dynamodb create-table --table-name understudy/ });
});

test('dynamodb: an item that somebody else wrote is refused, never guessed at', async (t) => {
  const { arbiter, store } = await world(t, 'dynamodb');
  const body = Buffer.from(JSON.stringify({ TableName: TABLE, Item: { key: { S: 'x' }, value: { S: '{}' } } }));
  store.handle({ method: 'POST', path: '/', headers: { 'x-amz-target': 'DynamoDB_20120810.PutItem' }, body });
  await t.throwsAsync(arbiter.read(['x'], soon()), { message: /was not written by understudy/ });
});

test('s3: an endpoint that ignores conditions is refused before anything but its probe is written', async (t) => {
  const store = new S3Store(BUCKET);
  store.ignoresConditions = true;
  const { arbiter } = await world(t, 's3', store);
  await t.throwsAsync(arbiter.cas('x', null, '1', soon()), { message: /this S3 endpoint ignores If-None-Match: two nodes/ });
  t.true(store.keys().every((key) => key.includes('/probe/')));
  store.ignoresConditions = false;
  t.is((await arbiter.cas('x', null, '1', soon())).outcome, 'done', 'proved anew by the next write');
});

test('s3: what did not change is asked for in one round, and answered empty', async (t) => {
  const { arbiter, proxy } = await world(t, 's3');
  for (const key of ['one', 'two']) await arbiter.cas(key, null, key, soon());
  const requests = async (): Promise<number> => {
    const before = proxy.seen.length;
    await arbiter.read(['one', 'two', 'three'], soon());
    return proxy.seen.length - before;
  };
  t.is(await requests(), 6, 'two rounds the first time');
  t.is(await requests(), 3);
});

test('s3: another write under way (409) that changed nothing is unknown, not a conflict', async (t) => {
  const { arbiter, proxy } = await world(t, 's3');
  const first = await arbiter.cas('busy', null, '1', soon());
  proxy.once = ({ method }) =>
    method === 'PUT' ? { status: 409, body: '<Error><Code>ConditionalRequestConflict</Code><Message>under way</Message></Error>' } : null;
  const error = await t.throwsAsync(arbiter.cas('busy', first.outcome === 'done' ? first.version : '', '2', soon()), {
    instanceOf: ArbiterError,
  });
  t.is(error?.kind, 'unknown');
});

test('keys are asked for anew beside the calls, and the old ones used on when there are none', async (t) => {
  let [nowMs, asked] = [0, 0];
  const answers: (string | Error)[] = ['first', new Error('IMDS is silent'), 'third'];
  const provide = keptFresh(
    () => {
      const answer = answers[asked++] ?? 'later';
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ accessKeyId: answer, secretAccessKey: 'x' });
    },
    { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    () => nowMs,
  );
  const id = async () => (await provide()).accessKeyId;
  t.is(await id(), 'first');
  t.is(await id(), 'first');
  t.is(asked, 1);
  for (const [atMs, expected] of [
    [60_000, 'first'],
    [60_001, 'first'],
    [120_000, 'first'],
    [120_001, 'third'],
  ] as const) {
    nowMs = atMs;
    t.is(await id(), expected, `at ${atMs}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.is(asked, 3);
  provide.expired();
  t.is(await id(), 'later', 'refused keys are not used again');
});

test('options and rights: keys of no other cluster, nothing that deletes, no profile that is too quick', (t) => {
  const rights = (definition: typeof dynamoDbArbiter | typeof s3Arbiter, given: Record<string, unknown>) =>
    definition.permissions?.(definition.options.parse(given) as never, { cluster: 'orders' }) ?? [];
  const all = [...rights(dynamoDbArbiter, { table: 'leases' }), ...rights(s3Arbiter, { bucket: 'leases', prefix: 'ha/' })];
  t.deepEqual(
    all.map(({ actions, resources, conditions }) => [actions.join(' '), resources.join(' '), JSON.stringify(conditions ?? null)]),
    [
      [
        'dynamodb:GetItem dynamodb:PutItem',
        'arn:aws:dynamodb:*:*:table/leases',
        '{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["understudy/orders/*"]}}',
      ],
      ['dynamodb:DescribeTimeToLive', 'arn:aws:dynamodb:*:*:table/leases', 'null'],
      ['s3:GetObject s3:PutObject', 'arn:aws:s3:::leases/ha/understudy/orders/*', 'null'],
      ['s3:ListBucket', 'arn:aws:s3:::leases', '{"StringLike":{"s3:prefix":["ha/understudy/orders/*"]}}'],
    ],
  );
  t.false(dynamoDbArbiter.options.safeParse({ table: 'x', accessKeyId: 'AKIA' }).success, 'no keys in the config');
  t.true((dynamoDbArbiter.minRenewMs ?? 0) > 250 && (s3Arbiter.minRenewMs ?? 0) > 1000, 'lan is refused on both, fast on s3');
});
