import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { describe, described, meaning, named } from '../openapi/described.ts';
import { queryOf } from '../openapi/parameters.ts';
import { error } from '../openapi/error-schemas.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { count, maybe, text } from '../openapi/values.ts';
import { acknowledgeDamageSchema, anchorSchema, logSchema } from './requests.ts';

const acknowledged = named(
  'Acknowledged',
  'The findings that were acknowledged.',
  z.object({ acknowledged: meaning(z.array(text()), 'Their names.') }),
);

const header = (description: string, isOptional = false) => {
  const value = isOptional ? z.optional(z.string()) : z.string();
  describe(value, description);
  return value;
};
const logId = header('The identity of the log, when it is known.', true);
const logEntries = header('The `seq` of the last durable entry.');
const logFirst = header('The `seq` of the first entry that is here.');

const anchorBody = described('HandedAnchor', 'An anchor of the log.', anchorSchema, {
  anchor: 'The signed note of the fleet: a checkpoint of a transparency log (C2SP tlog-checkpoint).',
});

const recordedAnchor = named(
  'RecordedAnchor',
  'Whether the anchor was recorded.',
  z.object({
    recorded: z.boolean(),
    seq: maybe(meaning(count, 'The entry that records it.')),
    at: maybe(meaning(text(), 'When it was recorded: RFC 3339.')),
    why: maybe(meaning(text(), 'Why not.')),
  }),
);

const anchorMismatch = named(
  'AnchorMismatch',
  'What the fleet has signed, and what the log has.',
  z.object({
    error: text(),
    code: z.literal('anchor_mismatch'),
    anchor: z.object({ seq: count, hash: text(), root: text(), time: text() }),
    log: z.object({ entries: count, hash: z.nullable(text()), root: maybe(text()) }),
  }),
);

const ANCHOR_MISMATCH = response('The log has another entry there.', anchorMismatch, {
  error: 'the fleet fleet.example.org has signed …: the log was rewritten, or an old copy was put back',
  code: 'anchor_mismatch',
  anchor: { seq: 4711, hash: 'b2b2b2b2…', root: 'c3c3c3c3…', time: '2026-11-22T07:12:00.123Z' },
  log: { entries: 4600, hash: null },
});

const FOREIGN_ANCHOR = response('It is about another log or machine.', error, {
  error: 'the access file names no fleet_key, so no anchor counts',
});

const ANCHOR_EXAMPLE =
  'fleet.example.org/oven-3/5d0c1c2d…\n4711\nw8PDw8PD…\nhash b2b2b2b2…\ntime 2026-11-22T07:12:00.123Z\n\n' +
  '\u2014 fleet.example.org x08go/ZJkuBS…\n';

const body = described(
  'AcknowledgeDamage',
  'Which finding about the audit log to acknowledge.',
  acknowledgeDamageSchema,
  {
    finding: 'The name of a finding, like `entries_missing:4-9`; or its first part, for all of that kind.',
    by: 'Who acknowledges it.',
    note: 'Why, or what was done about it.',
  },
);

const query = queryOf(logSchema, {
  from: 'The `seq` of the first entry; by default 1.',
  limit: 'How many entries at most.',
  follow: 'With `true`, new entries follow as they become durable, and an empty line every 15 seconds.',
  archived:
    'With `true`, also from archived segments, as far as they are still in the archive beside the log; `Log-First` is ' +
    'the first of them then.',
});

const lines = z.string();
describe(lines, 'One entry a line, as it stands in the log; empty lines say that there is nothing new.');

const EXAMPLE_LINE =
  '{"timestamp":"2026-11-22T07:00:00.000Z","event":"service.started","data":{"seq":1,…},"prev_hash":"",' +
  '"entry_hash":"52a84c33…","algorithm":"hmac-sha256"}\n';

export const logPaths: ZodOpenApiPathsObject = {
  '/api/v1/log': {
    get: {
      operationId: 'readLog',
      tags: ['service'],
      summary: 'Read the lines of the audit log',
      description:
        'For a copy of the log elsewhere: the lines as they are written, evidence included, so it always needs a token ' +
        '(role `anchor` or `auditor`). At most two read at a time. 410: the entry is archived; `first_seq` is the first ' +
        'that is there.',
      requestParams: { query },
      responses: {
        200: {
          description:
            'The lines. The response ends where the log ends, unless it is followed; one that is cut off is not all.',
          headers: z.object({
            'Log-Id': logId,
            'Log-Entries': logEntries,
            'Log-First': logFirst,
          }),
          content: { 'application/x-ndjson': { schema: lines, example: EXAMPLE_LINE } },
        },
        ...refusals(400, 410, 416, 503),
      },
    },
  },
  '/api/v1/log/anchors': {
    post: {
      operationId: 'recordAnchor',
      tags: ['service'],
      summary: 'Record an anchor of the log',
      description:
        'The fleet has signed how far it holds the log. It counts when it is signed with `fleet_key` of the access file ' +
        'and agrees with the log, and is recorded as `log.anchored` when the last one is an hour or 10,000 entries old. ' +
        '409: the log has another entry there, which is a finding too. 422: it is about another log or machine, or the ' +
        'access file names no fleet.',
      requestBody: requestBody(anchorBody, { anchor: ANCHOR_EXAMPLE }),
      responses: {
        200: response('It is not recorded, and why.', recordedAnchor, {
          recorded: false,
          why: 'the last anchor was recorded 61 s and 12 entries ago',
        }),
        201: response('It is recorded.', recordedAnchor, { recorded: true, seq: 4712, at: '2026-11-22T07:12:00.123Z' }),
        ...refusals(400, 413, 415, 503),
        409: ANCHOR_MISMATCH,
        422: FOREIGN_ANCHOR,
      },
    },
  },
  '/api/v1/log/acknowledge-damage': {
    post: {
      operationId: 'acknowledgeDamage',
      tags: ['service'],
      summary: 'Acknowledge a finding about the audit log',
      description:
        'Ends the warning about it, and is recorded. It mends nothing: lines that do not verify stay damage, and ' +
        'missing entries stay missing.',
      requestBody: requestBody(body, { finding: 'checkpoint_missing', by: 'ada', note: 'restored from the backup' }),
      responses: {
        200: response('What was acknowledged.', acknowledged, { acknowledged: ['checkpoint_missing'] }),
        ...refusals(400, 404, 413, 415, 503),
      },
    },
  },
};
