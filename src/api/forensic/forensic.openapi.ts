import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { meaning, named } from '../openapi/described.ts';
import { refusals, response } from '../openapi/responses.ts';
import { text } from '../openapi/values.ts';

const forensicExport = named(
  'ForensicExport',
  'A signed copy of what is on record. The members are in this order, and there are no others.',
  z.strictObject({
    exported_at: meaning(text(), 'RFC 3339.'),
    incidents: meaning(
      z.array(z.record(z.string(), z.unknown())),
      'The unresolved, then the resolved, each newest first, as many as fit.',
    ),
    audit_entries: meaning(z.array(text()), 'The last 1,000 lines of the audit log, oldest first.'),
    system_state: meaning(
      z.record(z.string(), text()),
      'How the service is. `omitted` counts the incidents that did not fit.',
    ),
    policy_digest: text(),
    canonical_payload: meaning(
      text(),
      'Base64 of the members above as compact JSON in this order: the bytes that are hashed.',
    ),
    bundle_hash: meaning(text(), 'SHA-256 of these bytes, lower-case hex.'),
    signature: meaning(text(), 'HMAC-SHA256 of the 32 bytes of that hash under the forensic key, lower-case hex.'),
  }),
);

const EXAMPLE = {
  exported_at: '2026-11-22T07:12:00.123Z',
  incidents: [],
  audit_entries: [],
  system_state: { service: 'incident-recorder', omitted: '0' },
  policy_digest: '62620e39',
  canonical_payload: 'eyJleHBvcnRlZF9hdCI6Ii…',
  bundle_hash: '52ac8f89d9d1381601a55110aeadc961b52e06efd86daba82f4130b783fb5f61',
  signature: '52a84c33d9d1381601a55110aeadc961b52e06efd86daba82f4130b783fb5f61',
};

export const forensicPaths: ZodOpenApiPathsObject = {
  '/api/v1/forensic/export': {
    get: {
      operationId: 'exportForensicBundle',
      tags: ['service'],
      summary: 'Export what is on record, signed',
      description:
        'For an auditor, and for the appliance’s offline verifier, which takes files of at most 64 MiB. Needs ' +
        '`FORENSIC_HMAC_KEY_PATH`; at most two are sent at a time.',
      responses: { 200: response('The export.', forensicExport, EXAMPLE), ...refusals(503) },
    },
  },
};
