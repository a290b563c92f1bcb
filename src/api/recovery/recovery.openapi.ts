import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import type { RecoveryStatus } from '../../incidents/recovery-status.ts';
import { ifMatch } from '../incidents/commands.openapi.ts';
import { nextTransitions } from '../incidents/incident.openapi.ts';
import { described, meaning, named } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { queryOf } from '../openapi/parameters.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import {
  action,
  count,
  type FieldsOf,
  hash,
  incidentClass,
  incidentId,
  maybe,
  severity,
  state,
  text,
  time,
} from '../openapi/values.ts';
import { evidence } from './recovery-shape.openapi.ts';
import { acknowledgeSchema, reattestSchema, statusSchema, waiveSchema } from './requests.ts';

const ID = { description: 'The identifier of the incident.', override: { minLength: 1, pattern: '\\S' } };
const OPERATOR =
  'Who asks. With a token of one’s own that is its principal, and somebody else named here is kept as `on_behalf_of`; ' +
  'with a token that several share it is what this says, marked as claimed.';

const acknowledgeBody = described('RecoveryAcknowledgement', 'A person acknowledges a recovery.', acknowledgeSchema, {
  incident_id: ID,
  operator: OPERATOR,
});

const reattestBody = described('Reattestation', 'The attestor is to be asked for an incident.', reattestSchema, {
  incident_id: ID,
  operator: OPERATOR,
});

const waiveBody = described('RecoveryWaiver', 'An administrator waives what is missing.', waiveSchema, {
  incident_id: ID,
  operator: OPERATOR,
  reason: { description: 'Why.', override: { minLength: 1, pattern: '\\S' } },
});

const query = queryOf(statusSchema, {
  incident_id: 'The recovery of this incident only, also when it is complete.',
  after: { description: 'The place behind which the page begins: `Link` has it.', override: { type: 'integer' } },
});

const header = z.object({ 'If-Match': ifMatch });

const done = (status: string) => z.object({ status: z.literal(status) });

const EXAMPLE_EVIDENCE = {
  requested_at: '2026-11-22T07:30:00.000Z',
  timestamp: '2026-11-22T07:30:01.512Z',
  state: 'attested',
  assurance_mode: 'hardware',
  evidence_verified: true,
  secure_boot_enabled: true,
  tpm_available: true,
  tpm_measurements_verified: true,
  tpm_quote_verified: true,
  deployment_verified: true,
  release_baseline_verified: true,
  tpm_ak_public_key_sha256: 'e'.repeat(64),
  bundle_hmac: 'c'.repeat(64),
  bundle_hmac_verified: true,
  request_nonce: 'a'.repeat(64),
};

const attested = named(
  'Reattested',
  'The attestor has proved the machine, and the evidence is kept.',
  z.object({
    status: z.literal('re-attested'),
    incident_id: incidentId,
    re_attested_at: time,
    attestation_evidence: evidence,
    recovery_complete: meaning(z.boolean(), 'Whether the incident may be resolved now.'),
  }),
);

const result = z.object({ action, success: z.boolean(), error: maybe(text()), completed_at: time });

const status = named(
  'RecoveryStatus',
  'How far the recovery of an incident is.',
  z.object({
    incident_id: incidentId,
    incident_class: incidentClass,
    severity,
    required_after: meaning(time, 'The latest report, or the latest outcome of an action.'),
    containment_actions: z.array(action),
    containment_results: z.array(result),
    containment_binding: meaning(
      hash,
      'The digest of identifier, class, severity, number of reports, actions and their outcomes. What is done counts for that.',
    ),
    containment_latch_active: meaning(z.boolean(), 'Whether it can’t be resolved yet, so that its containment stays.'),
    require_ack: z.boolean(),
    require_reattest: z.boolean(),
    acked_at: maybe(time),
    acked_by: maybe(text()),
    re_attested_at: maybe(time),
    attestation_evidence: maybe(evidence),
    recovery_gate_released_at: maybe(meaning(time, 'Since when it may be resolved.')),
    recovery_complete: z.boolean(),
  } satisfies FieldsOf<RecoveryStatus>),
);

const EXAMPLE_STATUS = {
  incident_id: EXAMPLE_INCIDENT.id,
  incident_class: EXAMPLE_INCIDENT.class,
  severity: EXAMPLE_INCIDENT.severity,
  required_after: EXAMPLE_INCIDENT.created_at,
  containment_actions: EXAMPLE_INCIDENT.containment_actions,
  containment_results: [{ action: 'freeze_agent', success: true, completed_at: EXAMPLE_INCIDENT.created_at }],
  containment_binding: 'b'.repeat(64),
  containment_latch_active: true,
  require_ack: true,
  require_reattest: true,
  acked_at: '2026-11-22T07:25:00.000Z',
  acked_by: 'ada',
  recovery_complete: false,
};

const notAskedFor = named(
  'NotAskedFor',
  'Why nothing has changed.',
  z.object({
    error: text(),
    state: maybe(state),
    allowed: maybe(z.array(text())),
    transitions: maybe(nextTransitions),
    faults: maybe(meaning(z.array(text()), 'What was wrong with the answer of the attestor.')),
  }),
);

const NOT_ASKED_FOR = response('That is not asked for.', notAskedFor, {
  error: 'no recovery is asked for',
  state: 'open',
});

export const recoveryPaths: ZodOpenApiPathsObject = {
  '/api/v1/recovery/ack': {
    post: {
      operationId: 'acknowledgeRecovery',
      tags: ['recovery'],
      summary: 'Say that the machine may be trusted again',
      description:
        'For the role `recovery`, and not for who reported the incident. To say it again changes nothing. With the shared ' +
        'service token nobody can be told apart: then it is taken, and kept as claimed.',
      requestParams: { header },
      requestBody: requestBody(acknowledgeBody, { incident_id: EXAMPLE_INCIDENT.id, operator: 'ada' }),
      responses: {
        200: response('It is on record.', done('acknowledged'), { status: 'acknowledged' }),
        ...refusals(400, 404, 410, 412, 413, 415, 503),
        409: NOT_ASKED_FOR,
      },
    },
  },
  '/api/v1/recovery/reattest': {
    post: {
      operationId: 'reattest',
      tags: ['recovery'],
      summary: 'Have the attestor prove the machine',
      description:
        'The recorder asks the attestor itself, and this waits for the outcome, up to 40 seconds. The request is on record ' +
        'first: after a crash, and while the attestor can’t be reached (503), it is asked again for a day.',
      requestParams: { header },
      requestBody: requestBody(reattestBody, { incident_id: EXAMPLE_INCIDENT.id }),
      responses: {
        200: response('The machine is proved, for the incident as it is.', attested, {
          status: 're-attested',
          incident_id: EXAMPLE_INCIDENT.id,
          re_attested_at: '2026-11-22T07:30:02.004Z',
          attestation_evidence: EXAMPLE_EVIDENCE,
          recovery_complete: true,
        }),
        ...refusals(400, 404, 410, 412, 413, 415, 503),
        409: response('What was wrong with the answer of the attestor; or no attestation is asked for.', notAskedFor, {
          error: 'the machine could not be attested: tpm_quote_verified is not true',
          faults: ['tpm_quote_verified is not true'],
        }),
      },
    },
  },
  '/api/v1/recovery/waive': {
    post: {
      operationId: 'waiveRecovery',
      tags: ['recovery'],
      summary: 'Let an incident be resolved without what is missing',
      description: 'For the role `admin`. It is recorded with its reason, and raises an alert.',
      requestParams: { header },
      requestBody: requestBody(waiveBody, { incident_id: EXAMPLE_INCIDENT.id, reason: 'The attestor is gone' }),
      responses: {
        200: response('It is on record.', done('waived'), { status: 'waived' }),
        ...refusals(400, 404, 410, 412, 413, 415, 503),
        409: NOT_ASKED_FOR,
      },
    },
  },
  '/api/v1/recovery/status': {
    get: {
      operationId: 'getRecoveryStatus',
      tags: ['recovery'],
      summary: 'Read which recoveries are not complete',
      security: [],
      requestParams: { query },
      responses: {
        200: response(
          'The oldest 500; `count` counts all. With `incident_id` that incident only.',
          z.object({ count, pending_recoveries: z.array(status) }),
          { count: 1, pending_recoveries: [EXAMPLE_STATUS] },
        ),
        ...refusals(400, 404, 410, 503),
        409: NOT_ASKED_FOR,
      },
    },
  },
};
