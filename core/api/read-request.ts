// A request of the API from bytes to values: bounded in length, depth and characters before anything acts on it. Pure.
// Throws USAGE and nothing else, in words that show nothing of this host.
import { UnderstudyError } from '../errors/errors.js';
import { UNPRINTABLE } from '../model/unprintable.js';
import type { OrderRequest } from './views.js';

export const MAX_BODY_BYTES = 64 * 1024;
const MAX_TARGET = 4096;
/** An order is flat; what is deeper is no order. */
const MAX_DEPTH = 8;

const usage = (message: string): UnderstudyError => new UnderstudyError('USAGE', message);

/** The path segments, version included, and the query of a request line. */
export const readTarget = (url: string): { readonly path: readonly string[]; readonly query: URLSearchParams } => {
  if (url.length > MAX_TARGET) throw usage(`the address of a request is longer than ${MAX_TARGET} characters`);
  if (!url.startsWith('/')) throw usage('the address of a request begins with /v1');
  const at = url.indexOf('?');
  const segments = (at < 0 ? url : url.slice(0, at)).split('/').filter(Boolean);
  try {
    return { path: segments.map(decodeURIComponent), query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)) };
  } catch (cause) {
    throw new UnderstudyError('USAGE', 'the address of a request has a % that stands for no character', { cause });
  }
};

/** The JSON value of a body. */
export const readJsonBody = (bytes: Buffer): unknown => {
  if (bytes.length > MAX_BODY_BYTES) throw usage(`the request is longer than ${MAX_BODY_BYTES} bytes`);
  const text = bytes.toString('utf8');
  if (deeperThan(text, MAX_DEPTH)) throw usage(`the request is nested deeper than ${MAX_DEPTH}`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UnderstudyError('USAGE', 'the request is not JSON', { cause });
  }
};

const deeperThan = (text: string, limit: number): boolean => {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (quoted) {
      if (character === 0x5c) at += 1;
      else if (character === 0x22) quoted = false;
    } else if (character === 0x22) quoted = true;
    else if (character === 0x5b || character === 0x7b) {
      depth += 1;
      if (depth > limit) return true;
    } else if (character === 0x5d || character === 0x7d) depth -= 1;
  }
  return false;
};

const TEXTS = ['verb', 'group', 'node', 'to', 'why', 'by', 'confirm'] as const satisfies readonly (keyof OrderRequest)[];
const OTHERS: readonly string[] = [
  'epoch',
  'force',
  'acceptDataLoss',
  'unwatched',
  'wait',
  'timeoutMs',
] satisfies readonly (keyof OrderRequest)[];

/** An order, every member checked. */
export const readOrder = (body: unknown): OrderRequest => {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw usage('an order is a JSON object with a verb');
  const order = body as Record<string, unknown>;
  const unknown = Object.keys(order).find((key) => !OTHERS.includes(key) && !TEXTS.some((text) => text === key));
  if (unknown !== undefined) throw usage(`an order has no member ${JSON.stringify(unknown.slice(0, 40))}`);
  for (const key of TEXTS) {
    const value = order[key];
    if (value === undefined) continue;
    if (typeof value !== 'string' || value === '' || value.length > 1000)
      throw usage(`"${key}" of an order must be a text of 1 to 1000 characters`);
    if (UNPRINTABLE.test(value)) throw usage(`"${key}" of an order has a character that cannot be printed`);
  }
  if (order['verb'] === undefined) throw usage('an order needs a verb');
  if (order['epoch'] !== undefined && !(Number.isSafeInteger(order['epoch']) && (order['epoch'] as number) >= 0))
    throw usage('"epoch" of an order is a whole number');
  if (order['force'] !== undefined && typeof order['force'] !== 'boolean') throw usage('"force" of an order is true or false');
  if (order['acceptDataLoss'] !== undefined && typeof order['acceptDataLoss'] !== 'boolean')
    throw usage('"acceptDataLoss" of an order is true or false');
  if (order['unwatched'] !== undefined && typeof order['unwatched'] !== 'boolean') throw usage('"unwatched" of an order is true or false');
  if (order['wait'] !== undefined && typeof order['wait'] !== 'boolean') throw usage('"wait" of an order is true or false');
  if (order['timeoutMs'] !== undefined && !(typeof order['timeoutMs'] === 'number' && order['timeoutMs'] > 0))
    throw usage('"timeoutMs" of an order is a positive number');
  return order as unknown as OrderRequest;
};
