// TLS of one connection, after STARTTLS: a certificate of the server, or keys that both sides have. Version 1.2 at least, as
// the protocol demands; 1.3 where the client can.
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';

/** The key of a client's name; null = a stranger. */
export type KeyOf = (identity: string) => Buffer | null;

export interface CertificateTls {
  readonly kind: 'certificate';
  readonly required: boolean;
  /** PEM. */
  readonly key: string | Buffer;
  readonly certificate: string | Buffer;
  /** PEM of who signs clients' certificates; without it any client may come. */
  readonly clientAuthority?: string | Buffer;
}

export interface PskTls {
  readonly kind: 'psk';
  readonly required: boolean;
  readonly keyOf: KeyOf;
}

export type NbdTls = CertificateTls | PskTls;

/** Suites with a pre-shared key; those of 1.2 with an exchange of its own, so that a key that leaks opens nothing old. */
const PSK_CIPHERS =
  'TLS_AES_128_GCM_SHA256:ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256:ECDHE-PSK-AES128-CBC-SHA256';

/** Makes the secure side of a connection. Throws at once on a key or certificate that cannot be read. */
export const secureSide = (tls: NbdTls): ((under: Socket) => TLSSocket) => {
  const context: SecureContext =
    tls.kind === 'certificate'
      ? createSecureContext({
          key: tls.key,
          cert: tls.certificate,
          minVersion: 'TLSv1.2',
          ...(tls.clientAuthority === undefined ? {} : { ca: tls.clientAuthority }),
        })
      : createSecureContext({ ciphers: PSK_CIPHERS, minVersion: 'TLSv1.2', dhparam: 'auto' });
  const verified = tls.kind === 'certificate' && tls.clientAuthority !== undefined;
  return (under) => {
    const options: TLSSocketOptions & { pskCallback?: (socket: TLSSocket, identity: string) => Buffer | null } = {
      isServer: true,
      secureContext: context,
      requestCert: verified,
      rejectUnauthorized: verified,
      ...(tls.kind === 'psk' ? { pskCallback: (_socket: TLSSocket, identity: string) => tls.keyOf(identity) } : {}),
    };
    return new TLSSocket(under, options);
  };
};
