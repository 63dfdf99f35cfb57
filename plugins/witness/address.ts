// `HOST:PORT` as the witness and its clients write it. Numeric hosts only: a guard must not wait for a name service.
import { isIP } from 'node:net';

export const WITNESS_PORT = 4472;

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `10.0.0.5:4472`, `[fd00::5]:4472`, or the host alone with the usual port; null when it is none of these. */
export const parseAddress = (text: string, defaultPort: number): HostPort | null => {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? defaultPort : Number(digits);
  return host === undefined || isIP(host) === 0 || port < 0 || port > 65_535 ? null : { host, port };
};
