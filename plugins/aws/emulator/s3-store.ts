// The lab's S3: GET and PUT of objects in one bucket, with If-Match and If-None-Match as S3 honours them. The ETag is the MD5
// of the content, as there: the same content has the same ETag.
import { createHash } from 'node:crypto';
import type { EmulatedStore, StoreAnswer, StoreRequest } from './store-server.js';

export class S3Store implements EmulatedStore {
  #objects = new Map<string, string>();
  /** A server that takes no notice of conditions, as some do: for the test that it is found out. */
  ignoresConditions = false;

  constructor(private readonly bucket: string) {}

  handle({ method, path, headers, body }: StoreRequest): StoreAnswer {
    const [bucket = '', ...rest] = decodeURIComponent(path.slice(1)).split('/');
    if (bucket !== this.bucket) return failure(404, 'NoSuchBucket', 'The specified bucket does not exist');
    const key = rest.join('/');
    const current = this.#objects.get(key);
    if (method === 'GET') return got(current, headers['if-none-match']);
    if (method !== 'PUT') return failure(405, 'MethodNotAllowed', `${method} is not known to the lab's S3`);
    const refusal = this.ignoresConditions ? null : unmet(current, headers);
    if (refusal !== null) return refusal;
    const text = body.toString('utf8');
    this.#objects.set(key, text);
    return { status: 200, headers: { etag: etagOf(text) }, body: '' };
  }

  throttled(): StoreAnswer {
    return failure(503, 'SlowDown', 'Please reduce your request rate.');
  }

  denied(): StoreAnswer {
    return failure(403, 'AccessDenied', 'Access Denied');
  }

  forget(key: string): boolean {
    return this.#objects.delete(key);
  }

  backup(): () => void {
    const kept = new Map(this.#objects);
    return () => {
      this.#objects = new Map(kept);
    };
  }

  keys(): readonly string[] {
    return [...this.#objects.keys()];
  }
}

const etagOf = (text: string): string => `"${createHash('md5').update(text).digest('hex')}"`;

const got = (current: string | undefined, unless: string | undefined): StoreAnswer => {
  if (current === undefined) return failure(404, 'NoSuchKey', 'The specified key does not exist.');
  const etag = etagOf(current);
  if (unless === etag) return { status: 304, headers: { etag }, body: '' };
  return { status: 200, headers: { etag, 'content-type': 'application/json' }, body: current };
};

const unmet = (current: string | undefined, headers: StoreRequest['headers']): StoreAnswer | null => {
  const failed = failure(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
  if (headers['if-none-match'] === '*' && current !== undefined) return failed;
  const match = headers['if-match'];
  if (match === undefined) return null;
  if (current === undefined) return failure(404, 'NoSuchKey', 'The specified key does not exist.');
  return match === etagOf(current) ? null : failed;
};

const failure = (status: number, code: string, message: string): StoreAnswer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});
