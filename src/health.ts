/** How the service is, in the words of `GET /health`. */
import type { AuditLog } from './audit/log.ts';
import type { Policy } from './policy/policy.ts';
import type { Projections } from './projections/projections.ts';
import { VERSION } from './version.ts';

export interface HealthParts {
  readonly log: Pick<AuditLog, 'status'>;
  readonly projections: Projections;
  readonly policy: { readonly current: Policy };
  readonly token: { fault(): string | undefined };
  /** What an operator should know although nothing is broken. */
  readonly warnings: () => readonly string[];
  readonly verification: { readonly verified: number | undefined };
  /** RFC 3339. */
  readonly startedAt: string;
}

export interface Health {
  /** `degraded` while reports or commands can't be taken; `reasons` say why. */
  readonly status: 'ok' | 'degraded';
  readonly [detail: string]: unknown;
}

export function healthOf({ log, projections, policy, token, warnings, verification, startedAt }: HealthParts): Health {
  const { state, writable, reason, entries, bytes, segments, algorithm } = log.status;
  const { version, source, path, digest, loaded_at } = policy.current;
  const reasons = [
    writable ? undefined : (reason ?? `the audit log is ${state}`),
    projections.behind ? `reads are behind the audit log: ${projections.fault?.message ?? 'catching up'}` : undefined,
    token.fault(),
  ].filter((fault) => fault !== undefined);
  const { open_incidents, total_incidents } = projections.statistics.read();
  return {
    status: reasons.length === 0 ? 'ok' : 'degraded',
    open_incidents,
    total_incidents,
    ...(reasons.length === 0 ? {} : { reasons }),
    warnings: warnings(),
    version: VERSION,
    started_at: startedAt,
    audit: {
      writable,
      state,
      last_seq: entries,
      verified_seq: verification.verified ?? null,
      segments,
      bytes,
      algorithm,
    },
    policy: { version, source, ...(path === undefined ? {} : { path }), digest, loaded_at },
  };
}
