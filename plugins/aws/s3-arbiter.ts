// Opens the arbiter `s3`: one object for each key, every write conditional (If-Match, If-None-Match). The guard loads this
// file by its name: nothing heavier than the bundled SDK behind it. Writes nothing before the endpoint has proved that it
// honours conditions; never deletes, never sends a write twice.
import { randomBytes } from 'node:crypto';
import { type Arbiter, type ArbiterContext, ArbiterError, type CasResult, type Versioned } from 'understudy/arbiter';
import type { Ec2Failure } from './failures.js';
import { S3Objects } from './s3-objects.js';
import { type S3Body, bodyOf, partsOf, sameObject, versionedOf } from './s3-body.js';
import { proveConditions } from './s3-proof.js';
import { type StoreAccess, clientConfig } from './store-access.js';
import { StoreCalls } from './store-calls.js';

export interface S3Options extends StoreAccess {
  readonly bucket: string;
  readonly prefix?: string | undefined;
  readonly pathStyle?: boolean | undefined;
  readonly encryption?: 'AES256' | 'aws:kms' | undefined;
  readonly kmsKeyId?: string | undefined;
}

const READ_ROUNDS = 5;
const PROOF_LIMIT_MS = 2_000;

export const open = async (options: S3Options, { cluster, node, log }: ArbiterContext): Promise<Arbiter> => {
  const sdk = await import('./s3-sdk.js');
  const config = clientConfig(options, sdk.fromNodeProviderChain, log);
  const client = new sdk.S3Client({
    ...config,
    forcePathStyle: options.pathStyle ?? options.endpoint !== undefined,
    // Older S3-compatible servers do not know the checksum headers; TLS and the body's own form protect what is written.
    ...(options.endpoint === undefined
      ? {}
      : { requestChecksumCalculation: 'WHEN_REQUIRED' as const, responseChecksumValidation: 'WHEN_REQUIRED' as const }),
  });
  const calls = new StoreCalls(`the S3 bucket ${options.bucket}`, client, hintOf(options.bucket), config.credentials.expired);
  return new S3Arbiter(new S3Objects(sdk, client, options), calls, `understudy/${cluster}/probe/${node}`);
};

export class S3Arbiter implements Arbiter {
  /** What was read last, so that a key that did not change costs an empty answer. As many as are read at once. */
  #known: ReadonlyMap<string, S3Body | null> = new Map();
  #proof: Promise<void> | null = null;

  constructor(
    private readonly objects: S3Objects,
    private readonly calls: StoreCalls,
    private readonly probeKey: string,
  ) {
    // Said again, in words, by the first write.
    this.#prove().catch(() => undefined);
  }

  /**
   * S3 reads one object at a time. Two rounds that agree show one moment: the objects that are the same in both were so in
   * between, since no two writes make the same object. Where nothing changed since the last read, one round is enough.
   */
  async read(keys: readonly string[], signal: AbortSignal): Promise<readonly (Versioned | null)[]> {
    const asked = [...new Set(keys)];
    return this.calls.run(signal, 'read', async (inner) => {
      let known = this.#known;
      for (let round = 1; round <= READ_ROUNDS; round += 1) {
        const before = known;
        const bodies = await this.objects.getAll(asked, before, inner);
        const now = new Map(asked.map((key, index) => [key, bodies[index] ?? null]));
        if (asked.length <= 1 || asked.every((key) => before.has(key) && sameObject(before.get(key), now.get(key)))) {
          if (asked.length > 1) this.#known = now;
          return keys.map((key) => versionedOf(key, now.get(key) ?? null));
        }
        known = now;
      }
      throw new ArbiterError('unknown', `the objects changed under ${READ_ROUNDS} reads`);
    });
  }

  cas(key: string, expected: string | null, value: string, signal: AbortSignal): Promise<CasResult> {
    return this.calls.run(signal, 'write', async (inner) => {
      await this.#proven(inner);
      const [number, etag] = partsOf(expected);
      const body = bodyOf(number + 1, randomBytes(8).toString('hex'), value);
      const written = await this.objects.put(key, expected === null ? null : etag, body, inner);
      if (written !== null) return { outcome: 'done', version: `${number + 1}:${written}` };
      // A condition failed, or another write was under way: what is there now tells which.
      const found = await this.objects.get(key, null, inner);
      const current = versionedOf(key, found);
      // Our own write was delivered twice: the first took effect.
      if (found !== null && found.text === body) return { outcome: 'done', version: current?.version ?? '' };
      if ((current?.version ?? null) === expected)
        throw new ArbiterError('unknown', `another write of ${key} was under way, and nothing was written`);
      return { outcome: 'conflict', current };
    });
  }

  close(): Promise<void> {
    this.calls.close();
    this.objects.close();
    return Promise.resolve();
  }

  async #proven(signal: AbortSignal): Promise<void> {
    try {
      if (this.#proof !== null) return await this.#proof;
    } catch (thrown) {
      if (thrown instanceof ArbiterError) throw thrown;
      // The proof’s own time was over, or its request was lost: it is given this call's time.
    }
    await this.#prove(signal);
  }

  /** Tried again by the next write when it failed. */
  #prove(signal: AbortSignal = AbortSignal.timeout(PROOF_LIMIT_MS)): Promise<void> {
    const proof = (this.#proof ??= proveConditions(this.objects, this.probeKey, signal));
    proof.catch(() => {
      if (this.#proof === proof) this.#proof = null;
    });
    return proof;
  }
}

const hintOf =
  (bucket: string) =>
  ({ code, kind }: Ec2Failure): string | null => {
    if (code === 'NoSuchBucket')
      return `make it: aws s3api create-bucket --bucket ${bucket}, then switch versioning on (docs/how-to/use-s3.md)`;
    if (code === 'NotImplemented') return 'this endpoint knows no conditional writes and cannot keep leases';
    // Without the right to list, S3 says 403 of an object that does not exist.
    return kind === 'denied' ? 'give this node’s role what `understudy permissions` prints, s3:ListBucket too' : null;
  };
