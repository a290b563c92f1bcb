/** The responses of the operations, in the terms of the document. */
import * as z from 'zod/mini';
import type { ZodOpenApiRequestBodyObject, ZodOpenApiResponseObject, ZodOpenApiResponsesObject } from 'zod-openapi';
import { describe } from './described.ts';
import { error, forbidden, gone, illegalTransition, quotaExceeded, staleVersion } from './error-schemas.ts';

type Headers = Readonly<Record<string, string>>;

const headersOf = (headers: Headers, isOptional = false): z.ZodMiniObject =>
  z.object(
    Object.fromEntries(
      Object.entries(headers).map(([name, description]) => {
        const header = isOptional ? z.optional(z.string()) : z.string();
        describe(header, description);
        return [name, header];
      }),
    ),
  );

/** Headers that every response has. */
const COMMON = { 'X-Request-Id': 'The client’s own, if it sent a plain word; otherwise a new one.' };

/** The header of the response to a request with `Recorder-Challenge`. */
const proof = z.optional(z.string());
describe(proof, 'The proof that the recorder knows the token; only in response to a `Recorder-Challenge`.');
const PROOF = z.object({ 'Recorder-Proof': proof });

/** A response in JSON, with the headers that it always has, and those that it has sometimes. */
export const response = (
  description: string,
  schema: z.ZodMiniType,
  example: unknown,
  headers: Headers = {},
  sometimes: Headers = {},
): ZodOpenApiResponseObject => ({
  description,
  headers: z.object({
    ...headersOf({ ...COMMON, ...headers }).shape,
    ...headersOf(sometimes, true).shape,
    ...PROOF.shape,
  }),
  content: { 'application/json': { schema, example } },
});

/** The body of a command. */
export const requestBody = (schema: z.ZodMiniType, example: unknown): ZodOpenApiRequestBodyObject => ({
  required: true,
  content: { 'application/json': { schema, example } },
});

const refusal = (
  id: string,
  description: string,
  example: object,
  headers: Headers = {},
  schema: z.ZodMiniType = error,
): ZodOpenApiResponseObject => ({ id, ...response(description, schema, example, headers) });

const RETRY_AFTER = { 'Retry-After': 'After how many seconds to try again.' };

/** The responses that refuse. A response of several operations is one component of the document. */
const REFUSALS = {
  400: refusal('Invalid', 'Malformed JSON, or a field or parameter that is missing, unknown or out of range.', {
    error: 'invalid incident class',
    allowed: ['attestation_failure', 'policy_bypass_attempt'],
  }),
  403: refusal(
    'Forbidden',
    'No token, or a wrong one; one of somebody who may not do this; a `Host` that is not the loopback; a foreign `Origin`.',
    {
      error: 'forbidden: this needs the role operator, and canary-tripwire is reporter',
      needs: ['operator'],
      roles: ['reporter'],
    },
    {},
    forbidden,
  ),
  404: refusal('NotFound', 'There is no such incident.', { error: 'incident not found' }),
  409: refusal(
    'IllegalTransition',
    'The statechart does not allow the command now.',
    {
      error: 'acknowledge is not possible: the incident is resolved',
      state: 'resolved',
      allowed: [],
      transitions: [{ event: 'acknowledge', allowed: false, target: null, reason: 'resolved is final' }],
    },
    {},
    illegalTransition,
  ),
  410: refusal(
    'Gone',
    'What is asked for may be in the archive, or the place is in another log.',
    { error: 'entries up to 77279 are archived', first_seq: 77_280 },
    {},
    gone,
  ),
  412: refusal(
    'StaleVersion',
    'The incident is not at the version that `If-Match` names.',
    { error: 'the incident is at version 2, not 1', version: 2 },
    {},
    staleVersion,
  ),
  413: refusal('TooLarge', 'A body over 256 KiB, or over `MAX_BODY_BYTES`.', {
    error: 'body longer than 256 KiB',
  }),
  415: refusal('UnsupportedMediaType', 'A body that is not plain JSON in UTF-8.', {
    error: 'Content-Type must be application/json, in UTF-8',
  }),
  416: refusal(
    'OutOfRange',
    'The log does not reach that far.',
    { error: 'the log ends with entry 17, and 19 is not the next', first_seq: 1, last_seq: 17, log_id: null },
    {},
    gone,
  ),
  422: refusal('IdempotencyMismatch', 'The `Idempotency-Key` was used with another report.', {
    error: 'this Idempotency-Key was used with another report',
  }),
  429: refusal(
    'QuotaExceeded',
    'The source has sent as many bytes of reports today as the policy allows.',
    { error: 'the source has reported more than 1000000 bytes today', retry_after: 4711 },
    RETRY_AFTER,
    quotaExceeded,
  ),
  503: refusal(
    'Unavailable',
    'Nothing can be recorded, or read, now; nothing has changed.',
    { error: "the audit log can't be written: ENOSPC" },
    RETRY_AFTER,
  ),
} as const;

/** The responses that refuse with these status codes, with 403, and with any other. */
export const refusals = (...statuses: readonly (keyof typeof REFUSALS)[]): ZodOpenApiResponsesObject => ({
  ...Object.fromEntries([403 as const, ...statuses].map((status) => [String(status), REFUSALS[status]])),
  default: OTHER,
});

const OTHER = refusal('Other', 'Anything else that can go wrong with a request: 405, 408, 417, 431, 500.', {
  error: 'internal error',
});
