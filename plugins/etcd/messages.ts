// The part of etcd's v3 protocol that is spoken here: reading, compare-and-set, watching, logging in. No leases, no locks. The
// names and numbers of fields and methods are those of etcd's rpc.proto, kv.proto (github.com/etcd-io/etcd, api/, Apache-2.0);
// what is not needed is left out, which the wire format allows. Numbers of 64 bits are texts: JavaScript's are too short.
import type { CallOptions, Client, Metadata } from '@grpc/grpc-js';

export interface Header {
  /** Unsigned, decimal. */
  readonly cluster_id: string;
  readonly member_id: string;
  readonly revision: string;
}

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly mod_revision: string;
}

export interface RangeRequest {
  readonly key: Buffer;
  readonly limit?: string;
  readonly keys_only?: boolean;
}

export interface RangeResponse {
  readonly header: Header | null;
  readonly kvs: readonly KeyValue[];
}

export interface TxnRequest {
  /** The only comparison used: `result` 0 is equal, `target` 2 is mod_revision; an absent key has 0. */
  readonly compare?: readonly { readonly result: 0; readonly target: 2; readonly key: Buffer; readonly mod_revision: string }[];
  readonly success: readonly {
    readonly request_range?: RangeRequest;
    readonly request_put?: { readonly key: Buffer; readonly value: Buffer };
  }[];
  readonly failure?: readonly { readonly request_range: RangeRequest }[];
}

export interface TxnResponse {
  readonly header: Header | null;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly response_range?: RangeResponse | null }[];
}

export interface WatchRequest {
  readonly create_request: { readonly key: Buffer; readonly start_revision: string };
}

export interface WatchResponse {
  readonly header: Header | null;
  readonly canceled: boolean;
  readonly cancel_reason: string;
  /** `type` 0 is a put, 1 a deletion. */
  readonly events: readonly { readonly type: number; readonly kv: KeyValue | null }[];
}

export interface AuthenticateRequest {
  readonly name: string;
  readonly password: string;
}

export interface AuthenticateResponse {
  readonly header: Header | null;
  readonly token: string;
}

const field = (type: string, id: number) => ({ type, id });
const many = (type: string, id: number) => ({ rule: 'repeated', type, id });
const method = (requestType: string, responseType: string) => ({ requestType, responseType });

/** In the form that protobufjs calls a JSON descriptor; its types want a service to be declared as a message type. */
const DESCRIPTOR = {
  nested: {
    mvccpb: {
      nested: {
        KeyValue: { fields: { key: field('bytes', 1), mod_revision: field('int64', 3), value: field('bytes', 5) } },
        Event: { fields: { type: field('int32', 1), kv: field('KeyValue', 2) } },
      },
    },
    etcdserverpb: {
      nested: {
        ResponseHeader: { fields: { cluster_id: field('uint64', 1), member_id: field('uint64', 2), revision: field('int64', 3) } },
        RangeRequest: { fields: { key: field('bytes', 1), limit: field('int64', 3), keys_only: field('bool', 8) } },
        RangeResponse: { fields: { header: field('ResponseHeader', 1), kvs: many('mvccpb.KeyValue', 2) } },
        PutRequest: { fields: { key: field('bytes', 1), value: field('bytes', 2) } },
        PutResponse: { fields: { header: field('ResponseHeader', 1) } },
        RequestOp: {
          oneofs: { request: { oneof: ['request_range', 'request_put'] } },
          fields: { request_range: field('RangeRequest', 1), request_put: field('PutRequest', 2) },
        },
        ResponseOp: {
          oneofs: { response: { oneof: ['response_range', 'response_put'] } },
          fields: { response_range: field('RangeResponse', 1), response_put: field('PutResponse', 2) },
        },
        Compare: {
          oneofs: { target_union: { oneof: ['mod_revision'] } },
          fields: {
            result: field('int32', 1),
            target: field('int32', 2),
            key: field('bytes', 3),
            mod_revision: field('int64', 6),
          },
        },
        TxnRequest: { fields: { compare: many('Compare', 1), success: many('RequestOp', 2), failure: many('RequestOp', 3) } },
        TxnResponse: { fields: { header: field('ResponseHeader', 1), succeeded: field('bool', 2), responses: many('ResponseOp', 3) } },
        WatchCreateRequest: { fields: { key: field('bytes', 1), start_revision: field('int64', 3) } },
        WatchRequest: {
          oneofs: { request_union: { oneof: ['create_request'] } },
          fields: { create_request: field('WatchCreateRequest', 1) },
        },
        WatchResponse: {
          fields: {
            header: field('ResponseHeader', 1),
            canceled: field('bool', 4),
            cancel_reason: field('string', 6),
            events: many('mvccpb.Event', 11),
          },
        },
        AuthenticateRequest: { fields: { name: field('string', 1), password: field('string', 2) } },
        AuthenticateResponse: { fields: { header: field('ResponseHeader', 1), token: field('string', 2) } },
        KV: { methods: { Range: method('RangeRequest', 'RangeResponse'), Txn: method('TxnRequest', 'TxnResponse') } },
        Watch: { methods: { Watch: { ...method('WatchRequest', 'WatchResponse'), requestStream: true, responseStream: true } } },
        Auth: { methods: { Authenticate: method('AuthenticateRequest', 'AuthenticateResponse') } },
      },
    },
  },
};

/** One method as the gRPC client wants it. The phantom types keep requests and answers apart. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface Methods {
  readonly range: Method<RangeRequest, RangeResponse>;
  readonly txn: Method<TxnRequest, TxnResponse>;
  readonly authenticate: Method<AuthenticateRequest, AuthenticateResponse>;
  readonly watch: Method<WatchRequest, WatchResponse>;
}

export type Sdk = typeof import('./etcd-sdk.js');
export type { CallOptions, Client, Metadata };

/** Builds coder and decoder of each message: some milliseconds, once. */
export const methodsOf = ({ fromJSON }: Sdk): Methods => {
  const found = fromJSON(DESCRIPTOR as unknown as Parameters<typeof fromJSON>[0], {
    keepCase: true,
    longs: String,
    defaults: true,
    arrays: true,
  });
  const of = <Request, Response>(service: string, name: string): Method<Request, Response> => {
    const definition = found[`etcdserverpb.${service}`] as unknown as Record<string, Method<Request, Response>> | undefined;
    const one = definition?.[name];
    if (one === undefined) throw new Error(`the descriptor has no ${service}.${name}`);
    return one;
  };
  return { range: of('KV', 'Range'), txn: of('KV', 'Txn'), authenticate: of('Auth', 'Authenticate'), watch: of('Watch', 'Watch') };
};
