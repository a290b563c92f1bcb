/** Ends an action on all machines with some labels: previewed, counted, confirmed with the number of machines, and followed. */
import * as z from 'zod/mini';
import type { ContainmentAction, Role } from '../../../machines/vocabulary.ts';
import type { Admission } from '../../api/middleware/admission.ts';
import { missingRole } from '../../api/middleware/authentication.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { parseQuery } from '../../api/request/query.ts';
import { readBody } from '../../api/request/read.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import type { FleetPrincipal } from '../access.ts';
import { digestOf, type ReleaseActRow, type ReleaseActs, type ReleaseCandidate } from '../release-acts.ts';
import { countsIn } from '../commands.ts';
import { actReads } from './act-routes.ts';
import { actorIn } from './acting.ts';
import {
  areLabels,
  areSame,
  byLabelSchema,
  previewSchema,
  requireAction,
  requireCount,
  requireSeen,
  respondPreview,
} from './by-label.ts';
import { USUAL_EXPIRY } from './command-forms.ts';
import { byIn, keyOf } from './commands.ts';
import type { FleetDependencies } from './dependencies.ts';
import { readNamed } from './scope.ts';

const RELEASERS: readonly Role[] = ['operator', 'recovery'];
const REQUIRED = 'action, labels and reason are required';
const OTHERS = 'others hold it than those that were shown';
const PREVIEW_REQUIRED = 'action parameter required';
const PATH = '/api/v1/containment/by-label/release';

const releaseByLabelSchema = z.strictObject(z.omit(byLabelSchema, { class: true }).shape);
const releasePreviewSchema = z.strictObject(z.omit(previewSchema, { class: true }).shape);

export const releaseByLabelRoutes = (
  dependencies: FleetDependencies,
  acts: ReleaseActs,
  { authenticated, command }: Pick<Admission, 'authenticated' | 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: PATH,
    before: authenticated(...RELEASERS),
    handle: async (ctx) => {
      const { labels, machines, query } = readNamed(ctx.querystring);
      const { action } = validate(releasePreviewSchema, parseQuery(query), 'parameter', PREVIEW_REQUIRED);
      if (machines.length > 0) throw new RecorderError('invalid_request', 'machines are chosen by their labels here');
      if (!areLabels(labels)) throw new RecorderError('invalid_request', 'a label is required, as site=berlin');
      requireAction(ctx, action[0]!);
      const found = await acts.preview(action[0]!, labels, actorIn(ctx).machines);
      respondPreview(ctx, shownPreview(action[0]!, labels, found));
    },
  },
  {
    method: 'POST',
    path: PATH,
    before: command(...RELEASERS),
    handle: async (ctx) => {
      const given = readBody(ctx, releaseByLabelSchema, REQUIRED);
      const { action, reason, confirm, expires_in: expiresIn = USUAL_EXPIRY, machines_digest: seen } = given;
      const labels = given.labels as Readonly<Record<string, string>>;
      requireAction(ctx, action);
      const principal = actorIn(ctx);
      const key = keyOf(ctx, given.idempotency_key);
      const act = acts.nameOf(principal.name, key);
      const known = key === undefined || given.dry_run === true ? undefined : await acts.stored.find(act);
      if (known === undefined) {
        const found = await acts.preview(action, labels, principal.machines);
        const preview = shownPreview(action, labels, found);
        if (given.dry_run === true) return respondJson(ctx, 200, JSON.stringify(preview));
        const chosen = found.filter(({ possible }) => possible);
        requireCount(confirm, chosen.length);
        requireSeen(seen, digestOf(found), chosen.length, OTHERS);
        const { by } = byIn(ctx, given.by === undefined ? {} : { by: given.by });
        const machines = chosen.map(({ machine, holders }) => ({
          machine,
          incidents: holders.map(({ id, recovers }) => ({ id, role: roleFor(principal, recovers) })),
        }));
        const incidents = machines.reduce((sum, one) => sum + one.incidents.length, 0);
        const detail = { act, action, labels, reason, principal: principal.name, by, good_for: expiresIn * SECOND };
        await acts.begin({ ...detail, machines, incidents });
      }
      const row = known ?? (await acts.stored.find(act));
      if (row === undefined) throw new RecorderError('internal', 'an act that was stored is not there');
      // Also what was stored just now may be another one's, with the same key.
      const { detail } = row;
      const isSame =
        detail.action === action &&
        detail.reason === reason &&
        detail.good_for === expiresIn * SECOND &&
        areSame(detail.labels, labels);
      if (!isSame) throw new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another act');
      if (known !== undefined) ctx.set('Idempotent-Replayed', 'true');
      ctx.set('Location', `${PATH}/${act}`);
      respondJson(ctx, 202, JSON.stringify(await shownAct(acts, row, undefined, true, true)));
    },
  },
  ...actReads(dependencies, {
    path: PATH,
    roles: [...RELEASERS, 'auditor'],
    stored: acts.stored,
    show: (row, seen, words, isWhole) => shownAct(acts, row, seen, words, isWhole),
  }),
];

/** What ends containment while a recovery is asked for is for those who see to it, first of all. */
function roleFor(principal: FleetPrincipal, recovers: boolean): Role {
  const roles = recovers ? RELEASERS.toReversed() : RELEASERS;
  const role = roles.find((one) => principal.roles.includes(one));
  if (role === undefined) throw missingRole(principal, roles);
  return role;
}

function shownPreview(
  action: ContainmentAction,
  labels: Readonly<Record<string, string>>,
  machines: readonly ReleaseCandidate[],
): object {
  const chosen = machines.filter(({ possible }) => possible);
  return {
    action,
    labels,
    count: chosen.length,
    incidents: chosen.reduce((sum, { holders }) => sum + holders.length, 0),
    machines_digest: digestOf(machines),
    machines: machines.map(({ holders, ...one }) => ({ ...one, holders: holders.length })),
  };
}

/** @returns undefined when its reader may see none of its machines */
async function shownAct(
  acts: ReleaseActs,
  { id: act, at, over, detail }: ReleaseActRow,
  seen: readonly string[] | undefined,
  words: boolean,
  isWhole: boolean,
): Promise<object | undefined> {
  const among = seen === undefined ? undefined : new Set(seen);
  const machines = detail.machines.filter(({ machine }) => among?.has(machine) ?? true);
  if (machines.length === 0) return undefined;
  const own = { over, detail: { ...detail, machines } };
  const progress = isWhole ? await acts.progressOf(own) : [];
  const counts = isWhole ? countsIn(progress) : await acts.countsOf(own, seen);
  return {
    act,
    action: detail.action,
    labels: detail.labels,
    // What people and machines have written, as of commands.
    reason: words ? detail.reason : null,
    by: detail.by,
    at: at.toISOString(),
    count: machines.length,
    ...counts,
    ...(isWhole && { machines: words ? progress : progress.map((one) => ({ ...one, reason: null })) }),
  };
}
