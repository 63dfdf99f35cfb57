// Exactly what the arbiter `s3` uses of the AWS SDK; bundled by .ci/bundle.js. Loaded by dynamic import only.
export { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
export { fromNodeProviderChain } from '@aws-sdk/credential-providers';
