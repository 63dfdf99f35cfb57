// Opens the arbiter `dynamodb`: one item for each key, every write conditional on the item's version. The guard loads this
// file by its name: nothing heavier than the bundled SDK behind it. Never deletes, never uses a TTL, never sends a write twice.
import { randomBytes } from 'node:crypto';
import { type Arbiter, type ArbiterContext, ArbiterError, type CasResult, type Log, type Versioned, reasonOf } from 'understudy/arbiter';
import type { Ec2Failure } from './failures.js';
import { type StoreAccess, clientConfig } from './store-access.js';
import { StoreCalls } from './store-calls.js';

export interface DynamoDbOptions extends StoreAccess {
  readonly table: string;
}

type Sdk = typeof import('./dynamodb-sdk.js');
type Client = InstanceType<Sdk['DynamoDBClient']>;
type Item = Readonly<Record<string, { readonly S?: string | undefined; readonly N?: string | undefined }>>;

/** DynamoDB takes no more in one transaction. */
const MAX_KEYS = 100;
const READ_TRIES = 5;
const READ_AGAIN_MS = 15;
const INSPECT_EVERY_MS = 300_000;

/** `maxKeys`: for a table served by something else than AWS that takes fewer. */
export const open = async (options: DynamoDbOptions, { log }: ArbiterContext, maxKeys = MAX_KEYS): Promise<Arbiter> => {
  const sdk = await import('./dynamodb-sdk.js');
  const config = clientConfig(options, sdk.fromNodeProviderChain, log);
  return new DynamoDbArbiter(sdk, new sdk.DynamoDBClient(config), options.table, config.credentials.expired, log, maxKeys);
};

export class DynamoDbArbiter implements Arbiter {
  readonly #calls: StoreCalls;
  readonly #inspecting: NodeJS.Timeout;
  #objection: string | null = null;

  constructor(
    private readonly sdk: Sdk,
    private readonly client: Client,
    private readonly table: string,
    expired: () => void,
    private readonly log: Log,
    private readonly maxKeys: number,
  ) {
    this.#calls = new StoreCalls(`the DynamoDB table ${table}`, client, hintOf(table), expired);
    // Beside the calls: the control plane that answers this may be down while the table serves.
    this.#inspecting = setInterval(() => this.#inspect(), INSPECT_EVERY_MS).unref();
    this.#inspect();
  }

  async read(keys: readonly string[], signal: AbortSignal): Promise<readonly (Versioned | null)[]> {
    const asked = [...new Set(keys)];
    const found = new Map<string, Versioned | null>();
    for (let at = 0; at < asked.length; at += this.maxKeys) {
      const step = asked.slice(at, at + this.maxKeys);
      const items = await this.#calls.run(signal, 'read', (inner) => this.#items(step, inner));
      for (const [index, key] of step.entries()) found.set(key, versionedOf(key, items[index]));
    }
    this.#judge();
    return keys.map((key) => found.get(key) ?? null);
  }

  cas(key: string, expected: string | null, value: string, signal: AbortSignal): Promise<CasResult> {
    const [number, wasNonce] = partsOf(expected);
    const nonce = randomBytes(8).toString('hex');
    return this.#calls.run(signal, 'write', async (abortSignal) => {
      this.#judge();
      try {
        await this.client.send(
          new this.sdk.PutItemCommand({
            TableName: this.table,
            Item: { key: { S: key }, value: { S: value }, version: { N: String(number + 1) }, nonce: { S: nonce } },
            ...(expected === null
              ? { ConditionExpression: 'attribute_not_exists(#key)', ExpressionAttributeNames: { '#key': 'key' } }
              : {
                  ConditionExpression: '#version = :version AND #nonce = :nonce',
                  ExpressionAttributeNames: { '#version': 'version', '#nonce': 'nonce' },
                  ExpressionAttributeValues: { ':version': { N: String(number) }, ':nonce': { S: wasNonce } },
                }),
            ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
          }),
          { abortSignal },
        );
      } catch (thrown) {
        if (!isConditionFailure(thrown)) throw thrown;
        const current = versionedOf(key, thrown.Item);
        // Our own write was delivered twice: the first took effect.
        if (current?.version.endsWith(`.${nonce}`) === true) return { outcome: 'done', version: current.version };
        return { outcome: 'conflict', current };
      }
      return { outcome: 'done', version: `${number + 1}.${nonce}` };
    });
  }

  close(): Promise<void> {
    clearInterval(this.#inspecting);
    this.#calls.close();
    this.client.destroy();
    return Promise.resolve();
  }

  /** Items of one moment. One key alone needs no transaction, and costs half. */
  async #items(keys: readonly string[], abortSignal: AbortSignal): Promise<readonly (Item | undefined)[]> {
    const [first] = keys;
    if (keys.length === 1 && first !== undefined) {
      const input = { TableName: this.table, Key: { key: { S: first } }, ConsistentRead: true };
      return [(await this.client.send(new this.sdk.GetItemCommand(input), { abortSignal })).Item as Item | undefined];
    }
    const command = new this.sdk.TransactGetItemsCommand({
      TransactItems: keys.map((key) => ({ Get: { TableName: this.table, Key: { key: { S: key } } } })),
    });
    for (let tries = 1; ; tries += 1) {
      try {
        const { Responses = [] } = await this.client.send(command, { abortSignal });
        if (Responses.length !== keys.length)
          throw new ArbiterError('unknown', `${Responses.length} of ${keys.length} items were answered`);
        return Responses.map(({ Item }) => Item as Item | undefined);
      } catch (thrown) {
        // A renewal came between: nothing is wrong, and reading again is always allowed.
        if (!isReadConflict(thrown) || abortSignal.aborted) throw thrown;
        if (tries === READ_TRIES) throw new ArbiterError('unknown', `the items changed under ${READ_TRIES} reads`, { cause: thrown });
        await new Promise((resolve) => setTimeout(resolve, READ_AGAIN_MS * tries * Math.random()));
      }
    }
  }

  /** Throws when the table was found to be one that may lose a lease. */
  #judge(): void {
    if (this.#objection !== null) throw new ArbiterError('refused', this.#objection);
  }

  #inspect(): void {
    this.client.send(new this.sdk.DescribeTimeToLiveCommand({ TableName: this.table }), { abortSignal: AbortSignal.timeout(10_000) }).then(
      ({ TimeToLiveDescription: { TimeToLiveStatus = 'DISABLED', AttributeName } = {} }) => {
        const on = TimeToLiveStatus === 'ENABLED' || TimeToLiveStatus === 'ENABLING';
        this.#objection = on
          ? `the table ${this.table} deletes items by their attribute ${AttributeName}: a lease must never vanish; switch TTL off (aws dynamodb update-time-to-live)`
          : null;
        if (on) this.log.error('the DynamoDB table is refused', { why: this.#objection });
      },
      // Without the right to ask, or while the control plane is silent, the table is used: reads and writes go on.
      (thrown: unknown) => this.log.debug('cannot tell whether the table has a TTL', { table: this.table, reason: reasonOf(thrown) }),
    );
  }
}

/** `NUMBER.NONCE`: the number counts, the nonce makes a restored table's next versions differ from those that were lost. */
const partsOf = (version: string | null): readonly [number: number, nonce: string] => {
  if (version === null) return [0, ''];
  const [, number = '-1', nonce = version] = /^(\d{1,15})\.([0-9a-f]{16})$/.exec(version) ?? [];
  return [Number(number), nonce];
};

const versionedOf = (key: string, item: Item | undefined): Versioned | null => {
  if (item === undefined) return null;
  const { value, version, nonce } = item;
  if (value?.S === undefined || version?.N === undefined || nonce?.S === undefined)
    throw new ArbiterError('refused', `the item ${key} was not written by understudy: it has no value, version and nonce`);
  return { key, value: value.S, version: `${version.N}.${nonce.S}` };
};

const isConditionFailure = (thrown: unknown): thrown is Error & { readonly Item?: Item } =>
  thrown instanceof Error && thrown.name === 'ConditionalCheckFailedException';

const isReadConflict = (thrown: unknown): boolean => {
  if (!(thrown instanceof Error)) return false;
  if (thrown.name === 'TransactionInProgressException') return true;
  const { CancellationReasons = [] } = thrown as { readonly CancellationReasons?: readonly { readonly Code?: string }[] };
  const codes = CancellationReasons.map(({ Code }) => Code).filter((code) => code !== undefined && code !== 'None');
  return thrown.name === 'TransactionCanceledException' && codes.length > 0 && codes.every((code) => code === 'TransactionConflict');
};

const hintOf =
  (table: string) =>
  ({ code }: Ec2Failure): string | null =>
    code === 'ResourceNotFoundException'
      ? `make it: aws dynamodb create-table --table-name ${table} --billing-mode PAY_PER_REQUEST --attribute-definitions AttributeName=key,AttributeType=S --key-schema AttributeName=key,KeyType=HASH --deletion-protection-enabled`
      : null;
