// The handshake as a pure machine: bytes of the client in, steps out, each to be carried out before the next is asked for.
// It holds at most one option and one chunk; an option that is too long is passed over unread. Invariant: where TLS is
// required nothing but STARTTLS and ABORT is answered before it, and nothing that came before it counts after it.
import type { NbdExport } from './export.js';
import {
  contextReply,
  infoReplies,
  matchContexts,
  optionReply,
  readContextRequest,
  readInfoRequest,
  readName,
  servedBytes,
  serverReply,
  transmissionFlags,
} from './option-codec.js';
import { OptionReader } from './option-reader.js';
import { GREETING_MAGIC, HANDSHAKE_FIXED_NEWSTYLE, HANDSHAKE_NO_ZEROES, OPTION, OPTION_MAGIC, REPLY } from './protocol.js';

/** `none`: STARTTLS is refused. `offered`: at the client's choice. `required`: nothing is told without it. */
export type TlsPolicy = 'none' | 'offered' | 'required';

export interface Terms {
  /** The first is the default. */
  readonly exports: readonly NbdExport[];
  readonly tls: TlsPolicy;
  /** TLS runs already. */
  readonly secure: boolean;
  /** The server is ending: options are answered with that. */
  readonly ending: () => boolean;
}

/** What a client that gets in has agreed on. */
export interface Agreed {
  readonly served: NbdExport;
  readonly structured: boolean;
  /** Selected contexts; the id of each is its place. */
  readonly contexts: readonly string[];
}

export type Step =
  | { readonly kind: 'reply'; readonly bytes: Buffer }
  /** The end of this connection, after `bytes`. */
  | { readonly kind: 'close'; readonly bytes: Buffer | null; readonly because: string }
  | { readonly kind: 'tls'; readonly bytes: Buffer }
  /** Ask for the export's only place, then call `admit` or `refuse`. */
  | { readonly kind: 'enter'; readonly agreed: Agreed };

interface Entering {
  readonly option: number;
  readonly agreed: Agreed;
  readonly kinds: ReadonlySet<number>;
}

/** More than any client needs; one that sends more wastes our time. */
const MAX_OPTIONS = 1024;
const ZEROES_BYTES = 124;

/** What the server says first. */
export const greeting = (): Buffer => {
  const bytes = Buffer.alloc(18);
  [...GREETING_MAGIC, ...OPTION_MAGIC].forEach((word, index) => bytes.writeUInt32BE(word, 4 * index));
  bytes.writeUInt16BE(HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES, 16);
  return bytes;
};

export class Negotiation {
  readonly #terms: Terms;
  readonly #reader = new OptionReader();
  #flags: number | null;
  #options = 0;
  #structured = false;
  #chosen: { readonly served: NbdExport; readonly contexts: readonly string[] } | null = null;
  #entering: Entering | null = null;

  /** `flags`: the client's, when they were told before TLS. */
  constructor(terms: Terms, flags: number | null = null) {
    this.#terms = terms;
    this.#flags = flags;
  }

  /** The client's flags, for the negotiation that goes on inside TLS. */
  get flags(): number | null {
    return this.#flags;
  }

  push(chunk: Buffer): void {
    this.#reader.push(chunk);
  }

  /** What is to be done next; null = more bytes are needed. */
  next(): Step | null {
    if (this.#flags === null) {
      const flags = this.#reader.word();
      if (flags === null) return null;
      if ((flags & ~(HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES)) !== 0) return close(`unknown client flags 0x${flags.toString(16)}`);
      this.#flags = flags;
    }
    const read = this.#reader.option();
    if (read === null) return null;
    if (read.kind === 'broken') return close(read.because);
    this.#options += 1;
    if (this.#options > MAX_OPTIONS) return close(`more than ${MAX_OPTIONS} options`);
    return this.#answer(read.option, read.data);
  }

  /** The place was given: what to send, and the bytes that are already requests. */
  admit(sizeBytes: number): { readonly bytes: Buffer; readonly rest: Buffer } {
    const { option, agreed, kinds } = this.#enter();
    const rest = this.#reader.rest();
    if (option !== OPTION.exportName)
      return { bytes: Buffer.concat([infoReplies(option, agreed.served, sizeBytes, agreed.structured, kinds), ack(option)]), rest };
    const zeroes = ((this.#flags ?? 0) & HANDSHAKE_NO_ZEROES) === 0 ? ZEROES_BYTES : 0;
    const bytes = Buffer.alloc(10 + zeroes);
    bytes.writeBigUInt64BE(BigInt(servedBytes(agreed.served, sizeBytes)), 0);
    bytes.writeUInt16BE(transmissionFlags(agreed.served, agreed.structured), 8);
    return { bytes, rest };
  }

  /** The place was not given. */
  refuse(because: string): Step {
    const { option } = this.#enter();
    if (option === OPTION.exportName) return close(because);
    return reply(optionReply(option, this.#terms.ending() ? REPLY.shutdown : REPLY.policy, because));
  }

  #enter(): Entering {
    const entering = this.#entering;
    if (entering === null) throw new Error('no client asked to enter');
    this.#entering = null;
    return entering;
  }

  #answer(option: number, data: Buffer | null): Step {
    const { tls, secure, ending } = this.#terms;
    if (option === OPTION.abort) return { kind: 'close', bytes: ack(option), because: 'the client gave up' };
    // The answer to this one cannot be an error: a client that is not welcome is cut off.
    if (option === OPTION.exportName) return this.#exportName(data);
    if (((this.#flags ?? 0) & HANDSHAKE_FIXED_NEWSTYLE) === 0) return close(`option ${option} of a client without fixed newstyle`);
    if (ending()) return reply(optionReply(option, REPLY.shutdown, 'the server is ending'));
    if (option === OPTION.startTls) return this.#startTls(data);
    if (tls === 'required' && !secure) return reply(optionReply(option, REPLY.tlsRequired, 'this server speaks TLS only'));
    if (data === null) return reply(optionReply(option, REPLY.tooBig, 'this option is too long'));
    switch (option) {
      case OPTION.list:
        if (data.length > 0) return invalid(option, 'LIST has no data');
        return reply(Buffer.concat([...this.#terms.exports.map((served) => serverReply(option, served)), ack(option)]));
      case OPTION.info:
      case OPTION.go:
        return this.#info(option, data);
      case OPTION.structuredReply:
        if (data.length > 0) return invalid(option, 'STRUCTURED_REPLY has no data');
        this.#structured = true;
        return reply(ack(option));
      case OPTION.listMetaContext:
      case OPTION.setMetaContext:
        return this.#contexts(option, data);
      default:
        return reply(optionReply(option, REPLY.unsupported, `option ${option} is not known here`));
    }
  }

  #find(name: string): NbdExport | undefined {
    const { exports } = this.#terms;
    return name === '' ? exports[0] : exports.find((served) => served.name === name);
  }

  #exportName(data: Buffer | null): Step {
    const name = data === null ? null : readName(data);
    const served = name === null ? undefined : this.#find(name);
    if (this.#terms.ending()) return close('the server is ending');
    if (this.#terms.tls === 'required' && !this.#terms.secure) return close('EXPORT_NAME without TLS, which is required');
    if (served === undefined) return close('EXPORT_NAME of an export that is not here');
    return this.#asks(OPTION.exportName, served, new Set());
  }

  #startTls(data: Buffer | null): Step {
    const { tls, secure } = this.#terms;
    if (data === null || data.length > 0) return invalid(OPTION.startTls, 'STARTTLS has no data');
    if (secure) return invalid(OPTION.startTls, 'TLS runs already');
    if (tls === 'none') return reply(optionReply(OPTION.startTls, REPLY.policy, 'TLS is not set up here'));
    // Whatever a stranger slipped in before the handshake must not be taken for the client's words after it.
    if (this.#reader.rest().length > 0) return close('bytes behind STARTTLS, before its answer');
    return { kind: 'tls', bytes: ack(OPTION.startTls) };
  }

  #info(option: number, data: Buffer): Step {
    const asked = readInfoRequest(data);
    if (asked === null) return invalid(option, 'lengths do not fit, or the name is not UTF-8');
    const served = this.#find(asked.name);
    if (served === undefined) return reply(optionReply(option, REPLY.unknown, `export "${asked.name}" is not here`));
    if (option === OPTION.go) return this.#asks(option, served, asked.kinds);
    return reply(Buffer.concat([infoReplies(option, served, served.sizeBytes(), this.#structured, asked.kinds), ack(option)]));
  }

  #asks(option: number, served: NbdExport, kinds: ReadonlySet<number>): Step {
    const contexts = this.#chosen?.served === served ? this.#chosen.contexts : [];
    const agreed = { served, structured: this.#structured, contexts };
    this.#entering = { option, agreed, kinds };
    return { kind: 'enter', agreed };
  }

  #contexts(option: number, data: Buffer): Step {
    const set = option === OPTION.setMetaContext;
    // Each SET replaces what was set before, even when it fails.
    if (set) this.#chosen = null;
    if (!this.#structured) return invalid(option, 'contexts need STRUCTURED_REPLY first');
    const asked = readContextRequest(data);
    if (asked === null) return invalid(option, 'lengths do not fit, or a query is not "namespace:leaf"');
    const served = this.#find(asked.name);
    if (served === undefined) return reply(optionReply(option, REPLY.unknown, `export "${asked.name}" is not here`));
    const all = !set && asked.queries.length === 0;
    const contexts = all ? served.contexts : matchContexts(served.contexts, asked.queries, !set);
    if (set) this.#chosen = { served, contexts };
    return reply(Buffer.concat([...contexts.map((context, id) => contextReply(option, set ? id : 0, context)), ack(option)]));
  }
}

const reply = (bytes: Buffer): Step => ({ kind: 'reply', bytes });
const ack = (option: number): Buffer => optionReply(option, REPLY.ack);
const invalid = (option: number, because: string): Step => reply(optionReply(option, REPLY.invalid, because));
const close = (because: string): Step => ({ kind: 'close', bytes: null, because });
