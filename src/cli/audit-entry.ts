/** Entries of the audit log as the API returns them, and a short description of each. */
import { type Caller, callerWords } from '../domain/caller.ts';
import { jumpInWords } from '../domain/clock-jumps.ts';
import type { ClockJump, EscalatedBy } from '../domain/entries.ts';
import { escalationText } from '../domain/escalation.ts';
import { silenceText } from '../domain/silence.ts';
import type { SilenceTerms } from '../domain/silence-terms.ts';

export interface AuditEntry {
  /** The machine of its log; only a fleet says it. */
  readonly machine?: string;
  readonly timestamp: string;
  readonly event: string;
  readonly data: Partial<Caller> & {
    readonly seq: number;
    readonly incident?: string;
    readonly state?: string;
    readonly [name: string]: unknown;
  };
}

/** What an entry says besides its event, incident and state. */
export const detailOf = (entry: AuditEntry): string => words(entry.data.drill === true ? 'drill' : '', sayingOf(entry));

function sayingOf({ event, data }: AuditEntry): string {
  switch (event) {
    case 'incident.imported':
      return words(
        (data.report as Readonly<Record<string, string>>).class,
        `was ${(data.claims as { readonly state: string }).state} in another recorder`,
      );
    case 'incident.reported':
    case 'incident.recurred': {
      const { class: name, source, description } = data.report as Readonly<Record<string, string>>;
      return words(
        data.severity,
        name,
        source,
        description,
        data.reopens === undefined ? undefined : `reopens ${String(data.reopens)}`,
        data.escalated_by === undefined ? undefined : `escalated ${escalationText(data.escalated_by as EscalatedBy)}`,
        byWhom(data),
        data.note,
      );
    }
    case 'incident.assigned':
      return words(data.to === null ? 'to nobody' : `to ${String(data.to)}`, byWhom(data), data.note);
    case 'incident.snoozed':
      return words(`until ${String(data.until)}`, byWhom(data), data.note);
    case 'incident.woken':
      return words(data.why === 'due' ? 'its time has come' : 'ended', byWhom(data), data.note);
    case 'incident.reopened':
      return words(`as ${String(data.as)}`, byWhom(data), data.note);
    case 'incident.carried':
      return (data.earlier as { readonly note: string }).note;
    case 'alert.raised':
      return words(data.severity, data.class, data.source, data.finding, data.guard, data.reason);
    case 'containment.overdue':
      return words(data.directive, data.action, `asked for at ${String(data.asked_at)} and not confirmed`);
    case 'recovery.attested': {
      const { tpm_ak_public_key_sha256: key } = data.evidence as Readonly<Record<string, string>>;
      return words('the machine is proved', `TPM key ${String(key).slice(0, 8)}`);
    }
    case 'recovery.attestation_failed':
      return words(data.error, ...((data.faults ?? []) as readonly string[]));
    case 'policy.reloaded':
      return words(
        data.source,
        String(data.digest).slice(0, 8),
        data.removed === undefined ? undefined : `without ${(data.removed as readonly string[]).join(', ')}`,
        byWhom(data),
      );
    case 'notification.delivered':
      return words(data.url, `up to ${String(data.through_seq)}`);
    case 'webhook.skipped':
      return words(data.url, `entry ${String(data.skipped_seq)}`, data.skipped_event, data.error);
    case 'webhook.retried':
      return words(data.url, `entry ${String(data.retried_seq)}`, byWhom(data), data.note);
    case 'log.damage_found':
    case 'log.damage_acknowledged':
      return words(data.finding, data.detail, byWhom(data), data.note);
    case 'log.restored':
      return words(data.file, data.how, data.kept_as);
    case 'log.lost':
      return words(`entries ${String(data.first_seq)} to ${String(data.last_seq)}`, data.kept_as);
    case 'log.anchored':
      return words(`up to entry ${String(data.anchored_seq)}`, data.machine, `signed at ${String(data.time)}`);
    case 'fleet.answered':
      return words(
        data.command,
        data.about,
        `answered ${String(data.status)}`,
        (data.answer as { readonly error?: string } | undefined)?.error,
        byWhom(data),
      );
    case 'guard.heard':
      return words(
        data.source,
        data.silent_since === undefined ? undefined : `silent since ${String(data.silent_since)}`,
      );
    case 'guard.silent':
      return words(data.source, `expected every ${Number(data.every_ms) / 1000} s`);
    case 'silence.added':
      return words(data.silence, silenceText(data as unknown as SilenceTerms), data.reason, byWhom(data));
    case 'silence.ended':
      return words(data.silence, data.reason, byWhom(data));
    case 'clock.jumped':
      return jumpInWords(data as unknown as ClockJump);
    case 'service.started':
      return words('version', data.service_version);
    default:
      return words(
        data.directive,
        data.action,
        data.error,
        data.reason,
        data.resolution,
        byWhom(data),
        data.note,
        data.next_attempt_at === undefined ? undefined : `again at ${String(data.next_attempt_at)}`,
      );
  }
}

/** Who asked for it, as far as an entry says so. */
const byWhom = (data: Partial<Caller>): string | undefined => {
  const who = callerWords(data);
  return who === undefined ? undefined : `by ${who}`;
};

const words = (...parts: readonly unknown[]): string =>
  parts
    .filter((part) => part !== undefined && part !== null && part !== '')
    .map(String)
    .join(' · ');
