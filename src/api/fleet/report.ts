/**
 * A report of the fleet itself: somebody wants an action in force on many machines, and this one is among them. It
 * becomes an incident of this machine, contained as its own policy says, which people here see, work and resolve like
 * any other.
 */
import * as z from 'zod/mini';
import { ACTIONS, CLASSES, SEVERITIES } from '../../../machines/vocabulary.ts';
import type { Caller } from '../../domain/caller.ts';
import type { Report } from '../../domain/entries.ts';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { reportSchema } from '../incidents/requests.ts';
import type { Admission } from '../middleware/admission.ts';
import { admittedIn } from '../middleware/authentication.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { filled, LONGEST_NAME, oneOf, textOf } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';
import { readBody } from '../request/read.ts';
import { respondIncident } from '../respond.ts';

const REQUIRED = 'class, action, description and dedup_key are required';

/** The body of the fleet's `report`. The source is the fleet. */
const fleetReportSchema = whenUsed(() =>
  z.strictObject({
    class: oneOf(REQUIRED, CLASSES, 'invalid incident class'),
    /** What it is for: the rule of the class must have it. */
    action: oneOf(REQUIRED, ACTIONS, 'invalid action'),
    description: filled(REQUIRED),
    severity: z.exactOptional(z.enum(SEVERITIES, 'invalid severity')),
    evidence: reportSchema.shape.evidence,
    dedup_key: filled(REQUIRED),
    by: z.exactOptional(textOf('by', LONGEST_NAME)),
  }),
);

/** No client can ask for this path: only a command of the fleet does. */
export const FLEET_REPORT = '/api/v1/fleet/report';

const withoutOrigin = ({ principal, role, by, on_behalf_of: other }: Caller): Caller => ({
  principal,
  role,
  ...(by === undefined ? {} : { by }),
  ...(other === undefined ? {} : { on_behalf_of: other }),
});

/** Reports an incident and contains it: 201, or 200 when the same was reported before. */
export const fleetReportRoutes = (
  { access, policy, recorder }: Pick<ApiDependencies, 'access' | 'policy' | 'recorder'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: FLEET_REPORT,
    before: command('operator'),
    handle: async (ctx) => {
      const { action, by, ...report } = readBody(ctx, fleetReportSchema, REQUIRED);
      const rule = policy.current.rules[report.class];
      if (!rule.actions.includes(action)) {
        const message = `the policy here does not ask for ${action} for ${report.class}`;
        throw new RecorderError('conflict', message, { fields: { actions: rule.actions } });
      }
      const caller = callerOf(ctx, by);
      const first = rule.auto_contain ? caller : withoutOrigin(caller);
      const source = `fleet:${access.fleet?.verifier.name ?? ''}`;
      // The command counts as carried out with the entry that contains: after a crash between the two it comes again,
      // and repeats the report.
      const { incident, change } = await recorder.report({ ...report, source } as Report, undefined, 0, first);
      const status = change === 'created' ? 201 : 200;
      if (incident.state !== 'open') return respondIncident(ctx, status, incident);
      const given = { id: incident.id, caller, roles: admittedIn(ctx).principal.roles, note: report.description };
      const contained = await recorder.perform('contain', given, undefined);
      respondIncident(ctx, status, contained.incident);
    },
  },
];
