/** The errors of the client, one class for each way to react. */

/** No response arrived. Whether the request had an effect is unknown, and it may be sent again. */
export class NotReachable extends Error {
  override readonly name: string = 'NotReachable';
}

/**
 * What answers at the recorder's address has not proved that it knows the service token. It got neither the token nor the
 * request, and nothing of its answer was believed. The recorder itself may be back later.
 */
export class Impostor extends NotReachable {
  override readonly name = 'Impostor';
}

/** The recorder refused the request. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** The HTTP status of the response. */
  readonly status: number;
  /** The body of the response, `{error, …}`. */
  readonly body: { readonly [field: string]: unknown };

  constructor(status: number, body: { readonly [field: string]: unknown }) {
    super(`refused (${status}): ${typeof body.error === 'string' ? body.error : 'no reason given'}`);
    this.status = status;
    this.body = body;
  }

  /** Whether the same request may succeed later: the recorder is busy or stopping, or its log or disk has a problem. */
  get passing(): boolean {
    return this.status === 408 || this.status === 425 || this.status === 429 || this.status >= 500;
  }
}

/** A report, or its key, can't be sent as it is. The message says what is wrong. Nothing was sent. */
export class InvalidReport extends TypeError {
  override readonly name = 'InvalidReport';
}

/**
 * The spool is `full` or `in_use` by another process; the file is not a spool (`is_another`); or others can read or
 * replace it (`unsafe`).
 */
export type SpoolFault = 'full' | 'in_use' | 'is_another' | 'unsafe';

/** A spool does not take a report, or does not open. */
export class SpoolError extends Error {
  override readonly name = 'SpoolError';
  readonly fault: SpoolFault;

  constructor(fault: SpoolFault, message: string) {
    super(message);
    this.fault = fault;
  }
}
