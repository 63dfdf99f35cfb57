// How an arbiter's client reaches AWS: region, credentials, time limits. The guard loads this: no schema library here. Keys
// stay fresh in the background, by this host's monotonic clock, so that neither IMDS nor a wrong wall clock delays a renewal.
import { type Log, reasonOf, systemClock, systemRandom } from 'understudy/arbiter';
import { HttpImds } from './imds.js';

export interface StoreAccess {
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly imdsEndpoint?: string | undefined;
  readonly profile?: string | undefined;
}

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

type ProviderChain = (options: {
  readonly profile?: string;
  readonly ec2MetadataV1Disabled: boolean;
  readonly timeout: number;
  readonly maxRetries: number;
}) => () => Promise<Keys>;

/** So often the chain is asked whether it has newer keys; an instance role's come at least five minutes before the end of the old. */
const REFRESH_MS = 60_000;
const KEYS_LIMIT_MS = 5_000;
/** A request is cut by the caller's signal; these bound one whose caller is very patient. */
const REQUEST_HANDLER = { connectionTimeout: 1_000, requestTimeout: 5_000, throwOnRequestTimeout: true } as const;

/** The configuration of one SDK client: it never retries by itself, and takes its keys from the role or the usual chain. */
export const clientConfig = (access: StoreAccess, chain: ProviderChain, log: Log) => {
  const { endpoint, profile } = access;
  const imds = new HttpImds({
    endpoint: access.imdsEndpoint ?? process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? 'http://169.254.169.254',
    clock: systemClock,
    random: systemRandom,
  });
  const known = access.region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'];
  let region: Promise<string> | null = known === undefined ? null : Promise.resolve(known);
  const fetchKeys: () => Promise<Keys> =
    profile === undefined && access.imdsEndpoint !== undefined
      ? () => imds.credentials(AbortSignal.timeout(KEYS_LIMIT_MS))
      : chain({ ...(profile === undefined ? {} : { profile }), ec2MetadataV1Disabled: true, timeout: 1_000, maxRetries: 3 });
  return {
    region: () =>
      (region ??= imds.region(AbortSignal.timeout(KEYS_LIMIT_MS)).catch((thrown: unknown) => {
        region = null;
        throw thrown;
      })),
    ...(endpoint === undefined ? {} : { endpoint }),
    credentials: keptFresh(fetchKeys, log),
    requestHandler: REQUEST_HANDLER,
    maxAttempts: 1,
    customUserAgent: [['understudy']] as [string][],
  };
};

/** The keys at hand, whatever their age: they are asked for anew beside the calls. Only the first call, or one after `expired`, waits. */
export const keptFresh = (fetchKeys: () => Promise<Keys>, log: Log, nowMs: () => number = () => systemClock.nowMs()) => {
  let kept: Keys | null = null;
  let askedMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<Keys> | null = null;
  const ask = (): Promise<Keys> => {
    askedMs = nowMs();
    asking ??= fetchKeys()
      .then((keys) => (kept = strip(keys)))
      .finally(() => (asking = null));
    return asking;
  };
  const provide = async (): Promise<Keys> => {
    if (kept === null) return ask();
    if (nowMs() - askedMs >= REFRESH_MS)
      ask().catch((thrown: unknown) => log.warn('cannot get newer credentials; the old ones are used on', { reason: reasonOf(thrown) }));
    return kept;
  };
  // The SDK would judge their age by the wall clock, and fetch them in the way of a renewal.
  return Object.assign(provide, { memoized: true, expired: () => void (kept = null) });
};

const strip = ({ accessKeyId, secretAccessKey, sessionToken }: Keys): Keys => ({
  accessKeyId,
  secretAccessKey,
  ...(sessionToken === undefined ? {} : { sessionToken }),
});
