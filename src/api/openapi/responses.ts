/** The answers of the operations, as the document writes them. */
import * as z from 'zod/mini';
import type { ZodOpenApiRequestBodyObject, ZodOpenApiResponseObject, ZodOpenApiResponsesObject } from 'zod-openapi';
import { describe } from './described.ts';
import { error, gone, illegalTransition, staleVersion } from './error-schemas.ts';

type Headers = Readonly<Record<string, string>>;

const headersOf = (headers: Headers): z.ZodMiniObject =>
  z.object(
    Object.fromEntries(
      Object.entries(headers).map(([name, description]) => {
        const header = z.string();
        describe(header, description);
        return [name, header];
      }),
    ),
  );

/** Every answer has one. */
const REQUEST_ID = { 'X-Request-Id': 'The client’s own, where that is a word, or one that the service made up.' };

/** An answer in JSON, with the headers that it always has. */
export const response = (
  description: string,
  schema: z.ZodMiniType,
  example: unknown,
  headers: Headers = {},
): ZodOpenApiResponseObject => ({
  description,
  headers: headersOf({ ...REQUEST_ID, ...headers }),
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

/** The answers that mean no. One that several operations give is one component of the document. */
const REFUSALS = {
  400: refusal('Invalid', 'Malformed JSON, or a field or parameter that is missing, unknown or out of range.', {
    error: 'invalid incident class',
    allowed: ['attestation_failure', 'policy_bypass_attempt'],
  }),
  403: refusal('Forbidden', 'No token, or a wrong one; a `Host` that is not the loopback; a foreign `Origin`.', {
    error: 'forbidden',
  }),
  404: refusal('NotFound', 'There is no such incident.', { error: 'incident not found' }),
  409: refusal(
    'IllegalTransition',
    'The statechart does not allow that now.',
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
    'The entries behind that one have been archived.',
    { error: 'entries up to 77279 are archived', first_seq: 77_280 },
    {},
    gone,
  ),
  412: refusal(
    'StaleVersion',
    'The incident is at another version than `If-Match` says.',
    { error: 'the incident is at version 2, not 1', version: 2 },
    {},
    staleVersion,
  ),
  413: refusal('TooLarge', 'A body over 64 KiB.', { error: 'body longer than 64 KiB' }),
  415: refusal('UnsupportedMediaType', 'A body that is not plain JSON in UTF-8.', {
    error: 'Content-Type must be application/json, in UTF-8',
  }),
  422: refusal('IdempotencyMismatch', 'The `Idempotency-Key` was used with another report.', {
    error: 'this Idempotency-Key was used with another report',
  }),
  503: refusal(
    'Unavailable',
    'It can’t be recorded, or not be read, now; nothing has changed.',
    { error: "the audit log can't be written: ENOSPC" },
    RETRY_AFTER,
  ),
} as const;

/** The answers with these status codes, and with any other, that mean no. 403 is always among them. */
export const refusals = (...statuses: readonly (keyof typeof REFUSALS)[]): ZodOpenApiResponsesObject => ({
  ...Object.fromEntries([403 as const, ...statuses].map((status) => [String(status), REFUSALS[status]])),
  default: OTHER,
});

const OTHER = refusal('Other', 'Anything else that can go wrong with a request: 405, 408, 417, 431, 500.', {
  error: 'internal error',
});
