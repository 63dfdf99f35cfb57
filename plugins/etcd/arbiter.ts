// The arbiter `etcd` as the config names it: `arbiter: { use: etcd, endpoints: [10.0.9.1:2379, 10.0.9.2:2379, 10.0.9.3:2379] }`.
import { defineArbiter, list, options, secret, text } from 'understudy/plugin';
import { parseEndpoint } from './address.js';
import { open } from './etcd-arbiter.js';

const endpoint = text('ADDRESS:PORT, numeric').refine(
  (value) => parseEndpoint(value) !== null,
  'write a numeric address and a port, e.g. 10.0.9.1:2379',
);
const MAX_ENDPOINTS = 9;

export const etcdArbiter = defineArbiter({
  summary: 'Leases in etcd (3.4 or newer): compare-and-set on mod_revision, without etcd’s own leases and locks.',
  options: options({
    endpoints: list('The members of etcd, ADDRESS:PORT each, numeric; one that is good is used', endpoint).refine(
      ({ length }) => length >= 1 && length <= MAX_ENDPOINTS,
      `name 1 to ${MAX_ENDPOINTS} endpoints`,
    ),
    prefix: text('Before every key, e.g. ha/ gives ha/understudy/CLUSTER/GROUP').optional(),
    clusterId: text('The id of the etcd cluster as `etcdctl endpoint status -w fields` gives it, in hexadecimal; another one is refused')
      .regex(/^[0-9a-f]{1,16}$/, 'write it in hexadecimal, e.g. cdf818194e3a8c32')
      .optional(),
    user: text('User of etcd, where it wants one').optional(),
    password: secret('The user’s password').optional(),
    tls: options({
      ca: text('File with the certificates that the members’ are signed by (PEM)'),
      cert: text('File with this node’s client certificate (PEM)').optional(),
      key: text('File with its private key (PEM), mode 0400').optional(),
      serverName: text('The name in the members’ certificates, where that is not their address').optional(),
    })
      .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'name both cert and key, or neither')
      .optional(),
  })
    .refine(({ user, password }) => (user === undefined) === (password === undefined), 'name both user and password, or neither')
    .refine(({ user, tls }) => user === undefined || tls !== undefined, 'a password goes over TLS only: name tls.ca'),
  minRenewMs: 250,
  open,
});
