/** What the appliance's reporters send, and what they make of the answer. */
import type { Answer } from '../../support/service-client.ts';

export const REPORTERS = ['canary-tripwire', 'gpu-integrity-watch', 'integrity-monitor', 'runtime-attestor'] as const;
export type Reporter = (typeof REPORTERS)[number];

/** The body of a report. Evidence is as each of them sends it: most of them send strings alone. */
export interface ReportBody {
  readonly class: string;
  readonly source: string;
  readonly description: string;
  readonly severity?: string;
  readonly evidence?: Readonly<Record<string, unknown>>;
}

const HASH = '5f'.repeat(32);

export const canaryViolation = (path = '/var/lib/secure-ai/vault/.canary'): ReportBody => ({
  class: 'integrity_violation',
  severity: 'critical',
  source: 'canary-tripwire',
  description: `Authenticated canary violation: missing at ${path}`,
  evidence: { path, reason: 'missing', fingerprint: HASH },
});

export const gpuAnomaly = (score = 0.41): ReportBody => ({
  class: 'model_behavior_anomaly',
  severity: 'high',
  source: 'gpu-integrity-watch',
  description: `GPU integrity warning: composite score ${score}`,
  evidence: {
    verdict: 'warning',
    composite_score: score,
    probe_statuses: { tensor_hash: 'pass', ecc_status: 'drift' },
    failed_probes: ['ecc_status'],
  },
});

/** A model file that is not what its manifest says. */
export const modelMismatch = (path: string): ReportBody => ({
  class: 'manifest_mismatch',
  severity: 'critical',
  source: 'integrity-monitor',
  description: `Model file integrity violation: ${path}`,
  evidence: {
    state: 'recovery_required',
    violation_count: '1',
    scan_count: '17',
    violations: `model_file: ${path} (5f5f5f5f…→missing)`,
    violation_0_path: path,
    violation_0_category: 'model_file',
    violation_0_action: 'quarantine',
  },
});

/** A binary that was changed, which the monitor finds in each of its scans. */
export const binaryChanged = (scan: number): ReportBody => ({
  class: 'integrity_violation',
  severity: 'high',
  source: 'integrity-monitor',
  description: 'Integrity monitor detected 1 violation(s): state=degraded',
  evidence: {
    state: 'degraded',
    violation_count: '1',
    scan_count: String(scan),
    violations: 'service_binary: /usr/libexec/secure-ai/registry (5f5f5f5f…→00000000…)',
    violation_0_path: '/usr/libexec/secure-ai/registry',
    violation_0_category: 'service_binary',
    violation_0_action: 'alert',
  },
});

export const attestationFailure = (): ReportBody => ({
  class: 'attestation_failure',
  severity: 'critical',
  source: 'runtime-attestor',
  description: 'Runtime attestation failed: 1 failure(s) detected — TPM quote verification failed',
  evidence: {
    state: 'failed',
    failure_count: '1',
    tpm_available: 'true',
    tpm_measurements_verified: 'true',
    tpm_quote_verified: 'false',
    secure_boot: 'true',
    deployment_digest: `sha256:${HASH}`,
    policy_digest: HASH,
    bundle_hmac: HASH,
    failure_0: 'TPM quote verification failed',
  },
});

/** What the canary asks of an answer before it believes that it is contained; why it does not, or undefined. */
export function canaryRefuses({ status, json }: Answer): string | undefined {
  if (status < 200 || status > 299) return `status ${status}`;
  if (json.state !== 'contained') return `state ${json.state}`;
  const required = ['freeze_agent', 'disable_airlock', 'force_vault_relock'];
  const actions = json.containment_actions as readonly string[] | undefined;
  if (!required.every((action) => actions?.includes(action))) return `actions ${actions?.join()}`;
  const results = (json.containment_results ?? []) as readonly { readonly action: string; readonly success: unknown }[];
  const missing = required.filter((required_) => results.find(({ action }) => action === required_)?.success !== true);
  if (missing.length > 0) return `no success of ${missing.join()}`;
  return typeof json.id === 'string' && json.id !== '' ? undefined : 'no id';
}
