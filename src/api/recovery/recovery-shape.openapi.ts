import * as z from 'zod/mini';
import { RECOVERY_STEPS } from '../../../machines/vocabulary.ts';
import type { AttestationEvidence } from '../../domain/attestation-evidence.ts';
import type { IncidentRecovery, RecoveryStamp } from '../../domain/recovery.ts';
import { meaning, named } from '../openapi/described.ts';
import { type FieldsOf, maybe, text, time } from '../openapi/values.ts';

const truth = z.literal(true);

export const evidence = named(
  'AttestationEvidence',
  'What the attestor has proved about this machine, after its signature and everything in it held.',
  z.object({
    requested_at: meaning(time, 'When the recorder asked.'),
    timestamp: meaning(text(), 'When the attestor measured the machine, as it wrote that.'),
    state: z.literal('attested'),
    assurance_mode: z.literal('hardware'),
    evidence_verified: truth,
    secure_boot_enabled: truth,
    tpm_available: truth,
    tpm_measurements_verified: truth,
    tpm_quote_verified: truth,
    deployment_verified: truth,
    release_baseline_verified: truth,
    deployment_digest: maybe(text()),
    policy_digest: maybe(text()),
    tpm_ak_public_key_sha256: meaning(text(), 'SHA-256 of the public key that the TPM signed with.'),
    bundle_hmac: text(),
    bundle_hmac_verified: truth,
    request_nonce: meaning(text(), 'What the recorder sent: 64 hexadecimal digits.'),
  } satisfies FieldsOf<AttestationEvidence>),
);

export const step = named(
  'RecoveryStep',
  'What must be done before an incident may be resolved: a person acknowledges, or the attestor proves the machine.',
  z.enum(RECOVERY_STEPS),
);

const stamp = {
  at: time,
  by: maybe(text()),
  claimed: maybe(meaning(truth, 'Nothing but the request itself says who it was.')),
  on_behalf_of: maybe(text()),
} satisfies FieldsOf<RecoveryStamp>;

export const recovery = named(
  'Recovery',
  'What the rules of an incident ask for before it may be resolved, and what is done. It counts for the incident as it is.',
  z.object({
    required: z.array(step),
    missing: meaning(z.array(step), 'Still to be done; empty when it may be resolved.'),
    acknowledged: maybe(z.object(stamp)),
    attestation: maybe(meaning(z.object(stamp), 'The attestor is asked, and the outcome is not known yet.')),
    attested: maybe(z.object({ at: time, evidence })),
    failed: maybe(
      meaning(
        z.object({ at: time, faults: maybe(z.array(text())), last_error: maybe(text()) }),
        'Why the latest attestation failed.',
      ),
    ),
    waived: maybe(z.object({ ...stamp, reason: text() })),
    completed_at: maybe(time),
    voided: maybe(
      meaning(
        z.object({ at: time, parts: z.array(z.enum([...RECOVERY_STEPS, 'waive'])), reason: text() }),
        'What was done and counts no more, and why, until the recovery is complete.',
      ),
    ),
  } satisfies FieldsOf<IncidentRecovery>),
);
