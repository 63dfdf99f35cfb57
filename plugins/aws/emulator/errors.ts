// EC2's way of saying no: a code, a message, an HTTP status. Codes and texts are those of the EC2 API reference ("Error
// codes for the Amazon EC2 API", read 2026-11). Nothing here is an error of understudy's own.

const STATUS: Readonly<Record<string, number>> = {
  UnauthorizedOperation: 403,
  AuthFailure: 401,
  DryRunOperation: 412,
  RequestLimitExceeded: 503,
  Unavailable: 503,
  ServiceUnavailable: 503,
  InternalError: 500,
  InternalFailure: 500,
  RequestExpired: 400,
  ExpiredToken: 400,
};

/** A refusal as the API puts it. Status 400 unless the code has one of its own. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.status = STATUS[code] ?? 400;
  }
}

export const missing = (parameter: string): ApiError =>
  new ApiError('MissingParameter', `The request must contain the parameter ${parameter}`);
export const invalid = (message: string): ApiError => new ApiError('InvalidParameterValue', message);
export const unauthorized = (action: string): ApiError =>
  new ApiError(
    'UnauthorizedOperation',
    `You are not authorized to perform this operation. No identity-based policy allows the ec2:${action} action. Encoded authorization failure message: emulated`,
  );
export const throttled = (): ApiError => new ApiError('RequestLimitExceeded', 'Request limit exceeded.');
export const dryRun = (): ApiError => new ApiError('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.');
