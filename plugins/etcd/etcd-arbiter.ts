// Opens the arbiter `etcd`. The guard loads this file by its name, with options that were checked before: nothing but
// `understudy/arbiter` and the client may be behind it. The gRPC library is loaded beside the guard's own start, not before it.
import { readFileSync } from 'node:fs';
import { type Arbiter, type ArbiterContext, readPrivateFile, reasonOf, Secret, UnderstudyError } from 'understudy/arbiter';
import { parseEndpoint } from './address.js';
import { EtcdClient } from './client.js';
import { Trust } from './trust.js';

export interface EtcdOptions {
  readonly endpoints: readonly string[];
  readonly prefix?: string | undefined;
  readonly clusterId?: string | undefined;
  readonly user?: string | undefined;
  /** `file:PATH` */
  readonly password?: string | undefined;
  readonly tls?:
    | {
        readonly ca: string;
        readonly cert?: string | undefined;
        readonly key?: string | undefined;
        readonly serverName?: string | undefined;
      }
    | undefined;
}

/** Reads the files that the options name. Rejects with KEY_UNUSABLE or CONFIG_INVALID; an etcd that does not answer is no error. */
export const open = async (options: EtcdOptions, { log }: ArbiterContext): Promise<Arbiter> => {
  const { tls, user, password, prefix = '', clusterId } = options;
  const endpoints = options.endpoints.map((text) => {
    const endpoint = parseEndpoint(text);
    if (endpoint === null) throw new UnderstudyError('CONFIG_INVALID', `arbiter etcd: ${text} is not a numeric address and a port`);
    return endpoint;
  });
  const login =
    user === undefined || password === undefined ? null : { name: user, password: new Secret(password, 'the password of etcd') };
  login?.password.reveal(); // One that cannot be read is an error of the start, not of the first login.
  const pair =
    tls?.cert === undefined || tls.key === undefined ? [] : [readPrivateFile(tls.key, 'the private key'), readCertificate(tls.cert)];
  const ca = tls === undefined ? null : readCertificate(tls.ca);
  return new EtcdClient({
    endpoints,
    prefix,
    load: () => import('./etcd-sdk.js'),
    member: ({ credentials }) => ({
      credentials: ca === null ? credentials.createInsecure() : credentials.createSsl(ca, ...pair),
      serverName: tls?.serverName ?? null,
      login,
    }),
    trust: new Trust(clusterId ?? null),
    log,
  });
};

const readCertificate = (file: string): Buffer => {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new UnderstudyError('KEY_UNUSABLE', `arbiter etcd: cannot use the certificate ${file}: ${reasonOf(cause)}`, { cause });
  }
};
