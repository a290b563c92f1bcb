import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { FORMAT } from '../../bundle/format.ts';
import { meaning, named } from '../openapi/described.ts';
import { refusals, response } from '../openapi/responses.ts';
import { hash, incidentId, maybe, text } from '../openapi/values.ts';

const bundle = named(
  'EvidenceBundle',
  'Incidents with what proves them. It is one line; the members are in this order.',
  z.strictObject({
    format: z.literal(FORMAT),
    fields: meaning(
      z.record(z.string(), z.strictObject({ salt: hash, value: text() })),
      'By name: members of incidents, lines of the log, statecharts, and a page to print.',
    ),
    manifest: meaning(text(), 'JSON: the hash of each field, the places of the lines in the log, the head of the log.'),
    manifest_hash: meaning(hash, 'Of the manifest under the audit key.'),
    signature: maybe(meaning(text(), 'Ed25519 over the manifest, base64; where `EXPORT_KEY_PATH` is set.')),
    public_key: maybe(meaning(text(), 'PEM.')),
  }),
);

const EXAMPLE = {
  format: FORMAT,
  fields: {
    'incident/INC-20261122-4f2a9c01d3e8/severity': {
      salt: '52ac8f89d9d1381601a55110aeadc961b52e06efd86daba82f4130b783fb5f61',
      value: '"high"',
    },
  },
  manifest: '{"format":"incident-recorder-bundle/1",…}',
  manifest_hash: '52a84c33d9d1381601a55110aeadc961b52e06efd86daba82f4130b783fb5f61',
};

export const bundlePaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents/bundle': {
    get: {
      operationId: 'exportEvidenceBundle',
      tags: ['incidents'],
      summary: 'Export incidents with what proves them',
      description:
        'For an auditor: one file for a post-mortem or a court. `verify-bundle` on the command line checks it, and its ' +
        'form is described for other programs. It holds at most 2,000 lines of the log: of incidents with more, the ' +
        'first ones and the newest.',
      requestParams: { query: z.object({ id: meaning(z.array(incidentId), 'One for each incident, at most 50.') }) },
      responses: { 200: response('The bundle.', bundle, EXAMPLE), ...refusals(400, 404, 410, 503) },
    },
  },
};
