// Exactly what the arbiter `dynamodb` uses of the AWS SDK; bundled by .ci/bundle.js. Loaded by dynamic import only.
export {
  DescribeTimeToLiveCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  TransactGetItemsCommand,
} from '@aws-sdk/client-dynamodb';
export { fromNodeProviderChain } from '@aws-sdk/credential-providers';
