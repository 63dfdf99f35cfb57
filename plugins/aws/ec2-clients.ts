// One SDK client for each role, made when first asked for and kept with its connections and credentials. The SDK is loaded
// here and nowhere else. Never retries by itself and never sends a request that nobody waits for.
import { UnderstudyError } from 'understudy/plugin';
import type { Access } from './ec2.js';
import type { Imds } from './imds.js';
import type { Settings } from './settings.js';

export type Sdk = typeof import('./ec2-sdk.js');

export interface ReadyClient {
  readonly sdk: Sdk;
  readonly client: InstanceType<Sdk['EC2Client']>;
}

/** A request is cut by the caller's signal; these only bound one whose caller is very patient. */
const REQUEST_HANDLER = { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true } as const;
const CREDENTIALS_LIMIT_MS = 5_000;

export class Ec2Clients {
  private readonly kept = new Map<string, ReadyClient>();
  private sdk: Promise<Sdk> | null = null;
  private region: string | null;

  constructor(
    private readonly settings: Settings,
    private readonly imds: Imds,
  ) {
    this.region = settings.region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? null;
  }

  async of({ assumeRole }: Access, signal: AbortSignal): Promise<ReadyClient> {
    const key = assumeRole ?? '';
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    const [sdk, region] = await Promise.all([(this.sdk ??= this.load()), this.regionOf(signal)]);
    const made = this.kept.get(key) ?? { sdk, client: this.make(sdk, region, assumeRole) };
    this.kept.set(key, made);
    return made;
  }

  /** Closes every connection. */
  destroy(): void {
    for (const { client } of this.kept.values()) client.destroy();
    this.kept.clear();
  }

  private load(): Promise<Sdk> {
    return import('./ec2-sdk.js').catch((thrown: unknown) => {
      this.sdk = null;
      throw new UnderstudyError('PLUGIN_INVALID', 'The AWS SDK could not be loaded.', { cause: thrown });
    });
  }

  private async regionOf(signal: AbortSignal): Promise<string> {
    return (this.region ??= await this.imds.region(signal));
  }

  private make(sdk: Sdk, region: string, assumeRole: string | null): ReadyClient['client'] {
    const { endpoint, stsEndpoint } = this.settings;
    const shared = { region, requestHandler: REQUEST_HANDLER };
    const clientConfig = { ...shared, ...(stsEndpoint !== undefined && { endpoint: stsEndpoint }), maxAttempts: 2 };
    const own = this.credentials(sdk);
    const credentials =
      assumeRole === null
        ? own
        : sdk.fromTemporaryCredentials({
            masterCredentials: own,
            params: { RoleArn: assumeRole, RoleSessionName: 'understudy' },
            clientConfig,
          });
    return new sdk.EC2Client({
      ...shared,
      ...(endpoint !== undefined && { endpoint }),
      credentials,
      maxAttempts: 1,
      customUserAgent: [['understudy']],
    });
  }

  /** From the instance role at the metadata endpoint that is configured, else AWS's usual chain without IMDSv1. */
  private credentials(sdk: Sdk) {
    const { imdsEndpoint, profile } = this.settings;
    if (profile === undefined && imdsEndpoint !== undefined) return () => this.imds.credentials(AbortSignal.timeout(CREDENTIALS_LIMIT_MS));
    return sdk.fromNodeProviderChain({
      ...(profile !== undefined && { profile }),
      ec2MetadataV1Disabled: true,
      timeout: 1_000,
      maxRetries: 3,
    });
  }
}
