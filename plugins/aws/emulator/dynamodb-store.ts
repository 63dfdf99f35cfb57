// The lab's DynamoDB: the JSON protocol for what the arbiter uses, over a map in memory. Understands exactly the conditions
// attribute_not_exists(#a) and #a = :b joined by AND; anything else is a ValidationException, as from the real one.
import type { EmulatedStore, StoreAnswer, StoreRequest } from './store-server.js';

type Value = { readonly S?: string; readonly N?: string };
type Item = Readonly<Record<string, Value>>;
type Body = Readonly<Record<string, unknown>>;

const MAX_TRANSACT_KEYS = 100;

export class DynamoDbStore implements EmulatedStore {
  #items = new Map<string, Item>();
  /** The attribute by which items expire; null: none do. */
  ttlAttribute: string | null = null;

  constructor(private readonly table: string) {}

  handle({ headers, body }: StoreRequest): StoreAnswer {
    const action = String(headers['x-amz-target']).split('.').at(-1) ?? '';
    const asked = JSON.parse(body.toString('utf8')) as Body;
    switch (action) {
      case 'GetItem':
        return this.#inTable(asked, () => reply(itemOf(this.#items.get(keyOf(asked['Key'])))));
      case 'PutItem':
        return this.#inTable(asked, () => this.#put(asked));
      case 'TransactGetItems':
        return this.#transactGet(asked);
      case 'DescribeTimeToLive': {
        const status = this.ttlAttribute === null ? 'DISABLED' : 'ENABLED';
        const attribute = this.ttlAttribute === null ? {} : { AttributeName: this.ttlAttribute };
        return this.#inTable(asked, () => reply({ TimeToLiveDescription: { TimeToLiveStatus: status, ...attribute } }));
      }
      default:
        return failure('com.amazon.coral.service#UnknownOperationException', `${action} is not known to the lab's DynamoDB`);
    }
  }

  throttled(): StoreAnswer {
    return failure(`${V1}ProvisionedThroughputExceededException`, 'The level of configured provisioned throughput was exceeded.');
  }

  denied(): StoreAnswer {
    return failure('com.amazon.coral.service#AccessDeniedException', 'This role is not authorized to perform it.');
  }

  forget(key: string): boolean {
    return this.#items.delete(key);
  }

  backup(): () => void {
    const kept = new Map(this.#items);
    return () => {
      this.#items = new Map(kept);
    };
  }

  keys(): readonly string[] {
    return [...this.#items.keys()];
  }

  #inTable({ TableName }: Body, answer: () => StoreAnswer): StoreAnswer {
    return TableName === this.table ? answer() : failure(`${V1}ResourceNotFoundException`, 'Requested resource not found');
  }

  #put(asked: Body): StoreAnswer {
    const item = asked['Item'] as Item;
    const current = this.#items.get(keyOf(item));
    const holds = conditionHolds(asked, current);
    if (holds === null)
      return failure(
        'com.amazon.coral.validate#ValidationException',
        `Invalid ConditionExpression: ${String(asked['ConditionExpression'])}`,
      );
    if (!holds) {
      const all = asked['ReturnValuesOnConditionCheckFailure'] === 'ALL_OLD' ? itemOf(current) : {};
      return failure(`${V1}ConditionalCheckFailedException`, 'The conditional request failed', all);
    }
    this.#items.set(keyOf(item), item);
    return reply({});
  }

  #transactGet(asked: Body): StoreAnswer {
    const gets = (asked['TransactItems'] as readonly { readonly Get: Body }[]).map(({ Get }) => Get);
    if (gets.length > MAX_TRANSACT_KEYS)
      return failure('com.amazon.coral.validate#ValidationException', `Member must have length less than or equal to ${MAX_TRANSACT_KEYS}`);
    return this.#inTable(gets[0] ?? {}, () => reply({ Responses: gets.map(({ Key }) => itemOf(this.#items.get(keyOf(Key)))) }));
  }
}

const V1 = 'com.amazonaws.dynamodb.v20120810#';

const keyOf = (item: unknown): string => (item as Item)['key']?.S ?? '';
const itemOf = (item: Item | undefined): { readonly Item?: Item } => (item === undefined ? {} : { Item: item });

/** Null when the condition is not understood. */
const conditionHolds = (asked: Body, current: Item | undefined): boolean | null => {
  const expression = asked['ConditionExpression'];
  if (expression === undefined) return true;
  const names = (asked['ExpressionAttributeNames'] ?? {}) as Readonly<Record<string, string>>;
  const values = (asked['ExpressionAttributeValues'] ?? {}) as Readonly<Record<string, Value>>;
  const parts = (typeof expression === 'string' ? expression : '').split(' AND ').map((part) => {
    const absent = /^attribute_not_exists\((#\w+)\)$/.exec(part)?.[1];
    if (absent !== undefined) return current?.[names[absent] ?? ''] === undefined;
    const [, name, value] = /^(#\w+) = (:\w+)$/.exec(part) ?? [];
    if (name === undefined || value === undefined) return null;
    const is = current?.[names[name] ?? ''];
    return is !== undefined && is.S === values[value]?.S && is.N === values[value]?.N;
  });
  return parts.includes(null) ? null : parts.every((part) => part === true);
};

const HEADERS = { 'content-type': 'application/x-amz-json-1.0' };
const reply = (body: unknown): StoreAnswer => ({ status: 200, headers: HEADERS, body: JSON.stringify(body) });
const failure = (type: string, message: string, more: object = {}): StoreAnswer => ({
  status: 400,
  headers: HEADERS,
  body: JSON.stringify({ __type: type, message, ...more }),
});
