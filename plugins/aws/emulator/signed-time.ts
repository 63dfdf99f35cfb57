// The time a request was signed with (Signature Version 4), against the time of whoever answers: the one thing of a signature
// that the emulator checks, since the wrong clock of a host is met in every data centre. Pure.
import { ApiError } from './errors.js';

/** EC2 API reference, error codes: `RequestExpired`, more than 15 minutes before or after. */
const MAX_SKEW_MS = 15 * 60_000;

/** Throws RequestExpired. A request without the header is none that this check is for. */
export const refuseSkewed = (amzDate: string | string[] | undefined, nowMs: number): void => {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(amzDate ?? '')) ?? [];
  if (year === undefined) return;
  const signedMs = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  if (Math.abs(nowMs - signedMs) > MAX_SKEW_MS) throw new ApiError('RequestExpired', 'Request has expired.');
};
