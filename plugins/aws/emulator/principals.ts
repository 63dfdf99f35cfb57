// Who signs requests: roles whose credentials IMDS and STS hand out here, known again by their access key. Signatures are
// not checked; what matters to tests is which role a call was made with.
import { createHash } from 'node:crypto';
import type { Credentials } from './metadata.js';

/** Far away: no signature is checked here, and a test with a clock of its own must not find them expired. */
const EXPIRATION = '2099-12-31T23:59:59Z';

export class Principals {
  private readonly byKey = new Map<string, string>();

  /** Credentials of a role: always the same key for the same name. */
  issue(name: string): Credentials {
    const digest = createHash('sha256').update(name).digest('hex').toUpperCase();
    const accessKeyId = `ASIA${digest.slice(0, 16)}`;
    this.byKey.set(accessKeyId, name);
    return {
      accessKeyId,
      secretAccessKey: digest.slice(16, 56),
      sessionToken: `emulated-${digest}`,
      expiration: EXPIRATION,
    };
  }

  /** The name behind an Authorization header; the bare key when it was not issued here; null when nothing was signed. */
  of(authorization: string | undefined): string | null {
    const key = /Credential=([^/]+)\//.exec(authorization ?? '')?.[1];
    return key === undefined ? null : (this.byKey.get(key) ?? key);
  }
}
