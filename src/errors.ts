/**
 * The service's only error class, and the table of its codes.
 *
 * A code is stable and names what went wrong; the table has its HTTP status. `message` is for the person who caused the
 * error: what was wrong, where, and what to do. `fields` are further members of the JSON body that a client gets
 * (`{"error": message, ...fields}`). The cause of an error with status 500 or above goes to the log, not to the client.
 */

/** Every code with its HTTP status (RFC 9110, RFC 6585 for 429 and 431). */
export const ERROR_STATUS = {
  invalid_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  illegal_transition: 409,
  conflict: 409,
  limit_reached: 409,
  attestation_refused: 409,
  anchor_mismatch: 409,
  gone: 410,
  stale_version: 412,
  too_large: 413,
  unsupported_media_type: 415,
  out_of_range: 416,
  invalid_policy: 422,
  invalid_access: 422,
  foreign: 422,
  idempotency_mismatch: 422,
  quota_exceeded: 429,
  internal: 500,
  log_unavailable: 503,
  attestor_unavailable: 503,
  overloaded: 503,
  starting: 503,
  stopping: 503,
  config: 500,
  damaged_log: 500,
  locked: 500,
} as const;
export type ErrorCode = keyof typeof ERROR_STATUS;

/** Whether an error says that an incident is not on record, or not any more. */
export const isAbsence = (error: unknown): boolean =>
  error instanceof RecorderError && (error.code === 'not_found' || error.code === 'gone');

/** What was asked for, or `not_found`. @throws RecorderError */
export function found<Found>(value: Found | undefined, what = 'incident'): Found {
  if (value === undefined) throw new RecorderError('not_found', `${what} not found`);
  return value;
}

export class RecorderError extends Error {
  override readonly name = 'RecorderError';
  readonly code: ErrorCode;
  readonly status: number;
  /** Further members of the JSON body of an error response. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { fields?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = ERROR_STATUS[code];
    this.fields = options.fields ?? {};
  }
}
