// What an object of the arbiter `s3` holds. An ETag is a hash of the content on most stores, so the same value would come back
// under the same ETag; a number and a nonce in every body make each write an object of its own. Pure.
import { ArbiterError, type Versioned } from 'understudy/arbiter';

export interface S3Body {
  readonly etag: string;
  readonly text: string;
}

export const bodyOf = (number: number, nonce: string, value: string): string => JSON.stringify({ understudy: 1, number, nonce, value });

/** `NUMBER:ETAG`. */
export const partsOf = (version: string | null): readonly [number: number, etag: string] => {
  const [, number = '0', etag = version ?? ''] = /^(\d{1,15}):(.+)$/.exec(version ?? '') ?? [];
  return [Number(number), etag];
};

export const sameObject = (one: S3Body | null | undefined, other: S3Body | null | undefined): boolean => one?.etag === other?.etag;

/** Throws ArbiterError for an object that somebody else wrote. */
export const versionedOf = (key: string, body: S3Body | null): Versioned | null => {
  if (body === null) return null;
  const { understudy, number, value } = parse(body.text);
  if (understudy !== 1 || !Number.isSafeInteger(number) || typeof value !== 'string')
    throw new ArbiterError(
      'refused',
      `the object of ${key} was not written by understudy: it is not {"understudy":1,"number":…,"value":…}`,
    );
  return { key, value, version: `${String(number)}:${body.etag}` };
};

const parse = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    // Not JSON: the caller says whose it is not.
    return {};
  }
};
