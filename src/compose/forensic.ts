/** The forensic exports of the service: what they say about it, and the key that signs them. */
import { statSync } from 'node:fs';
import type { Logger } from 'pino';
import { ACTIONS } from '../../machines/vocabulary.ts';
import type { AccessInForce } from '../access/access-in-force.ts';
import { readKey } from '../audit/key.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { ForensicExports } from '../forensic/forensic-export.ts';
import { fingerprintOf, readForensicKey } from '../forensic/forensic-key.ts';
import { reasonsOf } from '../health.ts';
import { VERSION } from '../version.ts';
import type { OpenRecord } from './record.ts';

/** How long a list in the state may be, in characters. */
const LONGEST = 2000;

/**
 * Makes the exports.
 * @param startedAt when the service has started, RFC 3339
 * @throws RecorderError `config` when a key is named that can't be used
 */
export function forensicExports(
  record: OpenRecord,
  { keyPath, forensicKeyPath }: Pick<Config, 'keyPath' | 'forensicKeyPath'>,
  access: Pick<AccessInForce, 'principalOf' | 'fault' | 'summary'>,
  clock: Clock,
  logger: Pick<Logger, 'warn'>,
  startedAt: string,
): ForensicExports {
  const auditKey = keyPath === undefined ? undefined : fingerprintOf(readKey(keyPath));
  // The file may be replaced while the service runs.
  const key = () =>
    readForensicKey(forensicKeyPath, { auditKey, isToken: (text) => access.principalOf(text) !== undefined });
  if (forensicKeyPath !== undefined) key();
  const { log, projections, policy, beside } = record;
  return new ForensicExports({
    log,
    projections,
    onUnrecorded: (err) => logger.warn({ err }, 'the log has not taken who asked for a forensic export'),
    state: () => stateOf(record, access, startedAt),
    total: () => projections.statistics.read().total_incidents,
    policyDigest: () => policy.current.digest,
    key,
    clock,
    beside,
  });
}

/** What an operator should know of the key's file. */
export function forensicKeyWarnings({ forensicKeyPath: path }: Pick<Config, 'forensicKeyPath'>): readonly string[] {
  const status = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
  if (status === undefined || (status.mode & 0o004) === 0) return [];
  return [`every user of this machine can read ${path}, and so sign forensic exports; run: chmod o-r ${path}`];
}

/** What an export says about the service. All of it is text: the offline verifier takes nothing else. */
function stateOf(
  { log, projections, policy, verification, findings, identity }: OpenRecord,
  access: Pick<AccessInForce, 'fault' | 'summary'>,
  startedAt: string,
): Readonly<Record<string, string>> {
  const { state, entries, last_hash, segments, algorithm, reason } = log.status;
  const reasons = reasonsOf({ log, projections, access });
  const { open_incidents, total_incidents } = projections.statistics.read();
  const engaged = ACTIONS.filter((action) => projections.posture.of(action).holders > 0);
  return {
    service: 'incident-recorder',
    version: VERSION,
    started_at: startedAt,
    status: reasons.length === 0 ? 'ok' : 'degraded',
    reasons: listed(reasons),
    log_id: identity.id ?? '',
    log_state: state,
    log_reason: reason ?? '',
    log_entries: String(entries),
    log_last_hash: last_hash,
    log_verified_seq: String(verification.verified ?? ''),
    log_segments: String(segments),
    log_algorithm: algorithm,
    log_findings: listed(findings.open.map(({ finding }) => finding)),
    record_proved: String(verification.isProved),
    total_incidents: String(total_incidents),
    open_incidents: String(open_incidents),
    containment_engaged: listed(engaged),
    policy_source: policy.current.source,
  };
}

const listed = (items: readonly string[]): string => {
  const text = items.join(', ');
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
};
