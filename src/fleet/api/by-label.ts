/** An action on all machines with some labels: previewed, counted, confirmed with the count, and followed. */
import type { Context } from 'koa';
import * as z from 'zod/mini';
import { ACTIONS, CLASSES, type ContainmentAction } from '../../../machines/vocabulary.ts';
import type { Admission } from '../../api/middleware/admission.ts';
import { admittedIn } from '../../api/middleware/authentication.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { filled, LONGEST_NAME, nothingSchema, ofText, oneOf, textOf } from '../../api/request/fields.ts';
import { parseQuery } from '../../api/request/query.ts';
import { readBody } from '../../api/request/read.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { isLabel, isWithin } from '../access.ts';
import { type Candidate, digestOf, type LabelAct, type LabelActs } from '../label-acts.ts';
import { pageOfActs } from './act-routes.ts';
import { actorIn } from './acting.ts';
import { expiry, USUAL_EXPIRY } from './command-forms.ts';
import { byIn, keyOf } from './commands.ts';
import type { FleetDependencies } from './dependencies.ts';
import { pageOf, paging } from './paging.ts';
import { readingIn } from './reading.ts';
import { readNamed } from './scope.ts';

/** `log_alert` is nothing that is in force. */
const ENGAGED = ACTIONS.filter((action) => action !== 'log_alert');
const REQUIRED = 'action, labels and reason are required';
export const LABELS = 'labels must be an object of labels that the machines have, as {"site": "berlin"}';
const PREVIEW_REQUIRED = 'action parameter required';
const LONGEST_REASON = 1024;
const OTHERS = 'these are not the machines that were shown, or their policies have changed';
const CONFIRM = 'confirm must be the number of machines';

export const areLabels = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.keys(value).length > 0 &&
  Object.entries(value).flat().every(isLabel);

export const byLabelSchema = z.strictObject({
  action: oneOf(REQUIRED, ENGAGED, 'invalid action'),
  labels: z.unknown().check(z.refine(areLabels, { error: ({ input }) => (input === undefined ? REQUIRED : LABELS) })),
  reason: filled(REQUIRED).check(
    z.maxLength(LONGEST_REASON, {
      ...ofText,
      error: `reason must be a string of at most ${LONGEST_REASON} characters`,
    }),
  ),
  class: z.exactOptional(z.enum(CLASSES, 'invalid incident class')),
  confirm: z.exactOptional(z.int(CONFIRM).check(z.minimum(0, CONFIRM))),
  machines_digest: z.exactOptional(textOf('machines_digest', 64)),
  dry_run: z.exactOptional(z.boolean('dry_run must be true or false')),
  expires_in: expiry(),
  idempotency_key: z.exactOptional(textOf('idempotency_key', 255)),
  by: z.exactOptional(textOf('by', LONGEST_NAME)),
});

export const previewSchema = z.strictObject({
  action: z
    .array(oneOf(PREVIEW_REQUIRED, ENGAGED, 'invalid action'), PREVIEW_REQUIRED)
    .check(z.length(1, 'action may be given only once')),
  class: z.exactOptional(z.array(z.enum(CLASSES, 'invalid incident class'))),
});

const actsSchema = z.strictObject(paging());

const PATH = '/api/v1/containment/by-label';

export const byLabelRoutes = (
  dependencies: FleetDependencies,
  acts: LabelActs,
  { authenticated, command }: Pick<Admission, 'authenticated' | 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: PATH,
    before: authenticated('operator'),
    handle: async (ctx) => {
      const { labels, machines, query } = readNamed(ctx.querystring);
      const { action, class: ofClass } = validate(previewSchema, parseQuery(query), 'parameter', PREVIEW_REQUIRED);
      if (machines.length > 0) throw new RecorderError('invalid_request', 'machines are chosen by their labels here');
      if (!areLabels(labels)) throw new RecorderError('invalid_request', 'a label is required, as site=berlin');
      requireAction(ctx, action[0]!);
      const found = await acts.preview(action[0]!, labels, actorIn(ctx).machines, ofClass?.[0]);
      respondPreview(ctx, shownPreview(action[0]!, labels, found));
    },
  },
  {
    method: 'POST',
    path: PATH,
    before: command('operator'),
    handle: async (ctx) => {
      const given = readBody(ctx, byLabelSchema, REQUIRED);
      const { action, reason, confirm, expires_in: expiresIn = USUAL_EXPIRY } = given;
      const labels = given.labels as Readonly<Record<string, string>>;
      requireAction(ctx, action);
      const { name: principal, machines: bounds } = actorIn(ctx);
      const key = keyOf(ctx, given.idempotency_key);
      const act = acts.nameOf(principal, key);
      const known = key === undefined || given.dry_run === true ? undefined : await acts.stored.find(act);
      if (known === undefined) {
        const found = await acts.preview(action, labels, bounds, given.class);
        const preview = shownPreview(action, labels, found);
        if (given.dry_run === true) return respondJson(ctx, 200, JSON.stringify(preview));
        const chosen = found.filter(({ possible }) => possible);
        requireCount(confirm, chosen.length);
        requireSeen(given.machines_digest, digestOf(found), chosen.length, OTHERS);
        const { by } = byIn(ctx, given.by === undefined ? {} : { by: given.by });
        await acts.begin({
          act,
          action,
          labels,
          reason,
          principal,
          by,
          role: admittedIn(ctx).role,
          good_for: expiresIn * SECOND,
          ...(given.class === undefined ? {} : { class: given.class }),
          machines: chosen.map(({ machine, class: ofClass }) => ({ machine, class: ofClass! })),
        });
      }
      // Also what was stored just now may be another one's, with the same key.
      const detail = (known ?? (await acts.stored.find(act)))?.detail;
      const isSame =
        detail !== undefined &&
        detail.action === action &&
        detail.reason === reason &&
        detail.class === given.class &&
        detail.good_for === expiresIn * SECOND &&
        areSame(detail.labels, labels);
      if (!isSame) throw new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another act');
      if (known !== undefined) ctx.set('Idempotent-Replayed', 'true');
      ctx.set('Location', `${PATH}/${act}`);
      await respondAct(ctx, 202, acts, act);
    },
  },
  {
    method: 'GET',
    path: `${PATH}/:act`,
    handle: async (ctx) => {
      const reading = await readingIn(dependencies, ctx, ['operator', 'auditor']);
      validate(nothingSchema, parseQuery(reading.query), 'parameter');
      // Machines that the reader may not see are left out.
      const seen = reading.machines === undefined ? undefined : new Set(reading.machines);
      await respondAct(ctx, 200, acts, String(ctx.params.act), seen, reading.reader.words);
    },
  },
  {
    method: 'GET',
    path: '/api/v1/acts',
    handle: async (ctx) => {
      const reading = await readingIn(dependencies, ctx, ['operator', 'auditor']);
      const page = pageOf(validate(actsSchema, parseQuery(reading.query), 'parameter'), 2);
      const shown = await pageOfActs(ctx, page, acts.stored);
      const counts = await acts.countsOf(shown.map((row) => row.id));
      const { bounds, reader } = reading;
      const { words } = reader;
      const seen = shown.filter(({ detail }) => isWithin(detail.labels, bounds));
      respondJson(
        ctx,
        200,
        JSON.stringify(
          seen.map((row) => shownAct(row.detail, row.at, finalCounts(row, counts.get(row.id) ?? {}), words)),
        ),
      );
    },
  },
];

/** Answers with what an act would do: of this moment, and for this principal. */
export function respondPreview(ctx: Context, preview: object): void {
  ctx.set('Cache-Control', 'no-store');
  ctx.vary('Authorization');
  respondJson(ctx, 200, JSON.stringify(preview));
}

/** @throws RecorderError `forbidden` for an action that the principal may not touch */
export function requireAction(ctx: Context, action: ContainmentAction): void {
  const { name, actions } = actorIn(ctx);
  if (actions === undefined || actions.includes(action)) return;
  const message = `forbidden: ${name} may act on ${actions.join(', ')}, and not on ${action}`;
  throw new RecorderError('forbidden', message, { fields: { actions } });
}

/** @throws RecorderError `conflict` unless the number of machines was given, and still is that */
export function requireCount(confirm: number | undefined, count: number): void {
  if (count === 0)
    throw new RecorderError('conflict', 'there is no machine on which this is possible', { fields: { count } });
  if (confirm === count) return;
  const machines = `${count} machine${count === 1 ? '' : 's'}`;
  const message =
    confirm === undefined
      ? `this is about ${machines}: send confirm: ${count}`
      : `this is about ${machines}, and not ${confirm}: look again, and send confirm: ${count}`;
  throw new RecorderError('conflict', message, { fields: { code: 'confirmation_required', count } });
}

/**
 * The number may be the same where a machine has come and another one has gone.
 * @param seen what the request says was shown; undefined where it does not say
 * @param differs what to say when something else is there now
 * @throws RecorderError `conflict` unless it is what was shown
 */
export function requireSeen(seen: string | undefined, machines_digest: string, count: number, differs: string): void {
  if (seen === undefined || seen === machines_digest) return;
  const message = `${differs}: look again, and send confirm: ${count}`;
  throw new RecorderError('conflict', message, { fields: { code: 'confirmation_required', count, machines_digest } });
}

export const areSame = (one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean =>
  Object.keys(one).length === Object.keys(other).length && isWithin(one, other);

const shownPreview = (
  action: ContainmentAction,
  labels: Readonly<Record<string, string>>,
  machines: readonly Candidate[],
): object => ({
  action,
  labels,
  count: machines.filter(({ possible }) => possible).length,
  machines_digest: digestOf(machines),
  machines,
});

/** The commands that are missing have expired where none are added any more. */
function finalCounts(
  { over, detail }: { readonly over: boolean; readonly detail: LabelAct },
  counts: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  if (!over) return counts;
  const given = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { ...counts, expired: (counts['expired'] ?? 0) + Math.max(0, detail.machines.length - given) };
}

const shownAct = (
  { act, action, labels, reason, by, machines }: LabelAct,
  at: Date,
  counts: Readonly<Record<string, number>>,
  words: boolean,
): object => {
  const { done = 0, refused = 0, expired = 0 } = counts;
  return {
    act,
    action,
    labels,
    // What people and machines have written, as of commands.
    reason: words ? reason : null,
    by,
    at: at.toISOString(),
    count: machines.length,
    pending: machines.length - done - refused - expired,
    done,
    refused,
    expired,
  };
};

async function respondAct(
  ctx: Context,
  status: number,
  acts: LabelActs,
  act: string,
  seen?: ReadonlySet<string>,
  words = true,
): Promise<void> {
  const row = await acts.stored.find(act);
  const machines = row?.detail.machines.filter(({ machine }) => seen === undefined || seen.has(machine)) ?? [];
  if (row === undefined || machines.length === 0) throw new RecorderError('not_found', 'act not found');
  const all = (await acts.progressOf({ ...row, detail: { ...row.detail, machines } })) as readonly {
    readonly status: string;
  }[];
  const progress = words ? all : all.map((one) => ({ ...one, reason: null }));
  const counts = Object.fromEntries(
    [...Map.groupBy(progress, (one) => one.status)].map(([name, some]) => [name, some.length]),
  );
  const shown = shownAct({ ...row.detail, machines }, row.at, counts, words);
  respondJson(ctx, status, JSON.stringify({ ...shown, machines: progress }));
}
