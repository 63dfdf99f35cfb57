// Endpoints as the config names them. Numeric only: a guard must not wait for a name service.
import { isIP } from 'node:net';

const ETCD_PORT = 2379;

/** `10.0.9.1:2379`, `[fd00::1]:2379`, or the address alone with the usual port, as gRPC wants it; null when it is none of these. */
export const parseEndpoint = (text: string): string | null => {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? ETCD_PORT : Number(digits);
  if (port < 1 || port > 65_535) return null;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? `ipv6:[${bracketed}]:${port}` : null;
  return plain !== undefined && isIP(plain) === 4 ? `ipv4:${plain}:${port}` : null;
};
