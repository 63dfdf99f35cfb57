// The fingerprint of a plugin's entry file, as the config pins it and as `understudy plugins hash` prints it.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** `sha256-` and the digest in base64, as browsers and npm write it (W3C Subresource Integrity). Throws the system's error. */
export const integrityOf = (file: string): string => `sha256-${createHash('sha256').update(readFileSync(file)).digest('base64')}`;
