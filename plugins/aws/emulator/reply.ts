// HTTP in small: a bounded body in, a text out. Nothing of EC2 in here.
import type { IncomingMessage, ServerResponse } from 'node:http';

const LIMIT_BYTES = 1 << 20;

/** The whole body; rejects when it is larger than 1 MiB. */
export const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMIT_BYTES) throw new Error(`the request is larger than ${LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
};

export const reply = (
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text), ...headers });
  response.end(text);
};

export const replyJson = (response: ServerResponse, status: number, value: unknown): void =>
  reply(response, status, 'application/json', `${JSON.stringify(value, null, 2)}\n`);
