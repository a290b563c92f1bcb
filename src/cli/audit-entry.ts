/** Entries of the audit log as the API returns them, and a short description of each. */

export interface AuditEntry {
  readonly timestamp: string;
  readonly event: string;
  readonly data: {
    readonly seq: number;
    readonly incident?: string;
    readonly state?: string;
    readonly [name: string]: unknown;
  };
}

/** What an entry says besides its event, incident and state. */
export function detailOf({ event, data }: AuditEntry): string {
  switch (event) {
    case 'incident.imported':
      return words(
        (data.report as Readonly<Record<string, string>>).class,
        `was ${(data.claims as { readonly state: string }).state} in another recorder`,
      );
    case 'incident.reported':
    case 'incident.recurred': {
      const { class: name, source, description } = data.report as Readonly<Record<string, string>>;
      return words(data.severity, name, source, description);
    }
    case 'incident.carried':
      return (data.earlier as { readonly note: string }).note;
    case 'alert.raised':
      return words(data.severity, data.class, data.source, data.finding, data.reason);
    case 'containment.overdue':
      return words(data.directive, data.action, `asked for at ${String(data.asked_at)} and not confirmed`);
    case 'policy.reloaded':
      return words(
        data.source,
        String(data.digest).slice(0, 8),
        data.removed === undefined ? undefined : `without ${(data.removed as readonly string[]).join(', ')}`,
      );
    case 'notification.delivered':
      return words(data.url, `up to ${String(data.through_seq)}`);
    case 'webhook.skipped':
      return words(data.url, `entry ${String(data.skipped_seq)}`, data.skipped_event, data.error);
    case 'webhook.retried':
      return words(
        data.url,
        `entry ${String(data.retried_seq)}`,
        data.by === undefined ? undefined : `by ${String(data.by)}`,
        data.note,
      );
    case 'log.damage_found':
    case 'log.damage_acknowledged':
      return words(data.finding, data.detail, data.by === undefined ? undefined : `by ${String(data.by)}`, data.note);
    case 'log.restored':
      return words(data.file, data.how, data.kept_as);
    case 'log.lost':
      return words(`entries ${String(data.first_seq)} to ${String(data.last_seq)}`, data.kept_as);
    case 'service.started':
      return words('version', data.service_version);
    default:
      return words(
        data.directive,
        data.action,
        data.error,
        data.reason,
        data.by === undefined ? undefined : `by ${String(data.by)}`,
        data.note,
        data.next_attempt_at === undefined ? undefined : `again at ${String(data.next_attempt_at)}`,
      );
  }
}

const words = (...parts: readonly unknown[]): string =>
  parts
    .filter((part) => part !== undefined && part !== null && part !== '')
    .map(String)
    .join(' · ');
