// The two requests to S3: read an object, write it under a condition. What S3 says becomes a value where the arbiter counts
// on it (absent, unchanged, a failed condition), and rises otherwise.
import { ArbiterError } from 'understudy/arbiter';
import type { S3Body } from './s3-body.js';

type Sdk = typeof import('./s3-sdk.js');
type Client = InstanceType<Sdk['S3Client']>;

export interface Place {
  readonly bucket: string;
  readonly prefix?: string | undefined;
  readonly encryption?: 'AES256' | 'aws:kms' | undefined;
  readonly kmsKeyId?: string | undefined;
}

const MAX_BYTES = 1024 * 1024;
/** So many requests at once: more only wait for a connection. */
const LANES = 16;

export class S3Objects {
  constructor(
    private readonly sdk: Sdk,
    private readonly client: Client,
    private readonly place: Place,
  ) {}

  /** `known` itself when the object is still the same; null when there is none. */
  async get(key: string, known: S3Body | null, abortSignal: AbortSignal): Promise<S3Body | null> {
    try {
      const {
        Body,
        ETag,
        ContentLength = 0,
      } = await this.client.send(
        new this.sdk.GetObjectCommand({ ...this.#at(key), ...(known === null ? {} : { IfNoneMatch: known.etag }) }),
        { abortSignal },
      );
      if (Body === undefined || ETag === undefined || ContentLength > MAX_BYTES)
        throw new ArbiterError('refused', `the object of ${key} has no ETag, or ${ContentLength} bytes: more than ${MAX_BYTES}`);
      const cut = () => (Body as unknown as { destroy(error: unknown): void }).destroy(abortSignal.reason);
      abortSignal.addEventListener('abort', cut, { once: true });
      return { etag: ETag, text: await Body.transformToString('utf-8') };
    } catch (thrown) {
      const status = statusOf(thrown);
      if (status === 304 && known !== null) return known;
      if (status === 404 && nameOf(thrown) !== 'NoSuchBucket') return null;
      throw thrown;
    }
  }

  /** Many objects, in the order asked, each as `get` would. */
  async getAll(keys: readonly string[], known: ReadonlyMap<string, S3Body | null>, abortSignal: AbortSignal): Promise<(S3Body | null)[]> {
    const found: (S3Body | null)[] = keys.map(() => null);
    let next = 0;
    const lane = async () => {
      for (let at = next++; at < keys.length; at = next++) found[at] = await this.get(keys[at]!, known.get(keys[at]!) ?? null, abortSignal);
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    return found;
  }

  /** The new ETag, or null when the condition did not hold or another write was under way. `on`: the ETag it must have; null: none. */
  async put(key: string, on: string | null, text: string, abortSignal: AbortSignal): Promise<string | null> {
    const { encryption, kmsKeyId } = this.place;
    try {
      const { ETag } = await this.client.send(
        new this.sdk.PutObjectCommand({
          ...this.#at(key),
          ...(on === null ? { IfNoneMatch: '*' } : { IfMatch: on }),
          ...(encryption === undefined ? {} : { ServerSideEncryption: encryption }),
          ...(kmsKeyId === undefined ? {} : { SSEKMSKeyId: kmsKeyId }),
          Body: text,
          ContentType: 'application/json',
        }),
        { abortSignal },
      );
      if (ETag === undefined) throw new ArbiterError('unknown', `the object of ${key} was written, and its ETag was not told`);
      return ETag;
    } catch (thrown) {
      const status = statusOf(thrown);
      // 412: the condition. 409 ConditionalRequestConflict: another write came first or is under way. 404: nothing to match.
      if (status === 412 || status === 409 || (status === 404 && nameOf(thrown) !== 'NoSuchBucket')) return null;
      throw thrown;
    }
  }

  close(): void {
    this.client.destroy();
  }

  /** Segments are escaped, so that no store or proxy on the way reads `..` or `%2F` in its own way. */
  #at(key: string): { Bucket: string; Key: string } {
    const escaped = key.split('/').map((segment) => (/^\.+$/.test(segment) ? segment.replaceAll('.', '%2E') : encodeURIComponent(segment)));
    return { Bucket: this.place.bucket, Key: `${this.place.prefix ?? ''}${escaped.join('/')}` };
  }
}

const statusOf = (thrown: unknown): number =>
  (thrown as { readonly $metadata?: { readonly httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode ?? 0;
const nameOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.name : '');
