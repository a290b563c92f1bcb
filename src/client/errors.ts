/** What can go wrong between a service and the recorder, by what there is to do about it. */

/** There was no answer: nothing is known of the request, and it may be sent again. */
export class NotReachable extends Error {
  override readonly name = 'NotReachable';
}

/** The recorder answered, and not with what was asked for. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** The HTTP status of the answer. */
  readonly status: number;
  /** Its body, `{error, …}`. */
  readonly body: { readonly [field: string]: unknown };

  constructor(status: number, body: { readonly [field: string]: unknown }) {
    super(`refused (${status}): ${typeof body.error === 'string' ? body.error : 'no reason given'}`);
    this.status = status;
    this.body = body;
  }

  /** Whether the same request may be taken later: the recorder is busy, its log or disk is in trouble, or it stops. */
  get passing(): boolean {
    return this.status === 408 || this.status === 425 || this.status === 429 || this.status >= 500;
  }
}

/** Why a spool does not take a report: it is `full`, `in_use` by another process, or the file `is_another`. */
export type SpoolFault = 'full' | 'in_use' | 'is_another';

export class SpoolError extends Error {
  override readonly name = 'SpoolError';
  readonly fault: SpoolFault;

  constructor(fault: SpoolFault, message: string) {
    super(message);
    this.fault = fault;
  }
}
