/** What a principal is bound to: the sources and classes that it may report, the actions that it may confirm. */
import type { ContainmentAction, IncidentClass } from '../../../machines/vocabulary.ts';
import type { Principal } from '../../access/principal.ts';
import { RecorderError } from '../../errors.ts';
import type { Admitted } from '../middleware/authentication.ts';

/** What a request is about, as far as principals are bound to it. */
export interface About {
  readonly source?: string;
  readonly class?: IncidentClass;
  readonly action?: ContainmentAction;
}

/** The member of a principal that bounds each member of `About`. */
const BOUND_BY = { source: 'sources', class: 'classes', action: 'actions' } as const;

/**
 * Refuses what a principal is not bound to. Whoever has no bounds may do anything that their role allows.
 *
 *     requireBound(admittedIn(ctx), { source: report.source, class: report.class });
 *
 * @throws RecorderError `forbidden`, which says what would be allowed
 */
export function requireBound({ principal, role }: Admitted, about: About): void {
  if (principal.sources === undefined && principal.classes === undefined && principal.actions === undefined) return;
  const broken = (Object.keys(BOUND_BY) as (keyof About)[]).filter((what) => {
    const value = about[what];
    return value !== undefined && !isAmong(principal, what, value);
  });
  if (broken.length === 0) return;
  const words = broken.map((what) => {
    const allowed = principal[BOUND_BY[what]] ?? [];
    return `the ${BOUND_BY[what]} ${allowed.length === 0 ? '(none)' : allowed.join(', ')}, not ${about[what]}`;
  });
  const fields = Object.fromEntries(broken.map((what) => [BOUND_BY[what], principal[BOUND_BY[what]]]));
  const message = `forbidden: as ${role}, ${principal.name} is bound to ${words.join('; to ')}`;
  throw new RecorderError('forbidden', message, { fields: { needs: [role], roles: principal.roles, ...fields } });
}

const isAmong = (principal: Principal, what: keyof About, value: string): boolean => {
  const bounds: readonly string[] | undefined = principal[BOUND_BY[what]];
  return bounds === undefined || bounds.includes(value);
};
