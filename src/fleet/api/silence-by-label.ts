/**
 * A silence on all machines with some labels, or on those that are named, and its end: previewed, counted, confirmed with the number
 * of machines, and followed.
 */
import type { Context } from 'koa';
import * as z from 'zod/mini';
import type { Admission } from '../../api/middleware/admission.ts';
import { admittedIn } from '../../api/middleware/authentication.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { filled, nothingSchema, once, textOf } from '../../api/request/fields.ts';
import { parseQuery } from '../../api/request/query.ts';
import { readBody } from '../../api/request/read.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { endSilenceSchema, SILENCE_REQUIRED, silenceSchema } from '../../api/silences/requests.ts';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { canonicalForm } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import { storable } from '../acts.ts';
import type { Labels, WantedMachines } from '../labelled-machines.ts';
import {
  digestOf,
  type SilenceActRow,
  type SilenceActs,
  type SilenceCandidate,
  type SilenceKind,
} from '../silence-acts.ts';
import { countsIn } from '../commands.ts';
import { actReads } from './act-routes.ts';
import { actorIn } from './acting.ts';
import { areLabels, byLabelSchema, LABELS, requireCount, requireSeen, respondPreview } from './by-label.ts';
import { USUAL_EXPIRY } from './command-forms.ts';
import { byIn, keyOf } from './commands.ts';
import type { FleetDependencies } from './dependencies.ts';
import { readNamed } from './scope.ts';

const PATH = '/api/v1/silences/by-label';
const PLACES = 'labels, or machines, are required; to end silences, act will do';
const MOST_NAMED = 1000;
const NAMED = `machines must be a list of 1 to ${MOST_NAMED} names`;
const OTHERS: Readonly<Record<SilenceKind, string>> = {
  add: 'these are not the machines that were shown',
  end: 'other silences run there than those that were shown',
};

/** Where, and what an act on many machines takes besides. New fields at each call, as each schema has its own. */
const onMachines = () => {
  const { confirm, machines_digest, dry_run, expires_in, idempotency_key, by } = byLabelSchema.shape;
  return {
    labels: z.exactOptional(z.unknown().check(z.refine(areLabels, LABELS))),
    machines: z.exactOptional(
      z.array(filled(NAMED), NAMED).check(z.minLength(1, NAMED), z.maxLength(MOST_NAMED, NAMED)),
    ),
    confirm,
    machines_digest,
    dry_run,
    expires_in,
    idempotency_key,
    by,
  };
};

const addSchema = z.strictObject({ ...silenceSchema.shape, ...onMachines() });

const { class: ofClass, source, severity, q } = silenceSchema.shape;
const endSchema = z.strictObject({
  act: z.exactOptional(textOf('act', 64)),
  class: ofClass,
  source,
  severity,
  q,
  reason: endSilenceSchema.shape.reason,
  ...onMachines(),
});

/** What a silence says, and what says which silences are to end. */
const TERMS = ['class', 'source', 'severity', 'q', 'from', 'until', 'reason'];
const MEANT = ['act', 'class', 'source', 'severity', 'q'];
const only = (given: object, names: readonly string[]): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)));

const endPreviewSchema = z.strictObject({ act: once('act', (text) => text.length <= 64, 'act is too long') });

export const silenceByLabelRoutes = (
  dependencies: FleetDependencies,
  acts: SilenceActs,
  { authenticated, command }: Pick<Admission, 'authenticated' | 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: PATH,
    before: authenticated('operator'),
    handle: async (ctx) => {
      const { query, ...wanted } = wantedIn(ctx);
      validate(nothingSchema, parseQuery(query), 'parameter');
      requirePlaces(wanted);
      respondPreview(ctx, shownPreview(wanted, await acts.previewAdd(wanted)));
    },
  },
  {
    method: 'GET',
    path: `${PATH}/end`,
    before: authenticated('operator'),
    handle: async (ctx) => {
      const { query, ...wanted } = wantedIn(ctx);
      const { act: [act] = [] } = validate(endPreviewSchema, parseQuery(query), 'parameter');
      requirePlaces(wanted, act);
      respondPreview(ctx, shownPreview(wanted, await acts.previewEnd(wanted, act === undefined ? {} : { act })));
    },
  },
  {
    method: 'POST',
    path: PATH,
    before: command('operator'),
    handle: async (ctx) => {
      const given = readBody(ctx, addSchema, SILENCE_REQUIRED);
      const body = only(given, TERMS);
      const { reason, by } = given;
      await perform(ctx, acts, 'add', given, { body, by, reason, asked: body }, (wanted) => acts.previewAdd(wanted));
    },
  },
  {
    method: 'POST',
    path: `${PATH}/end`,
    before: command('operator'),
    handle: async (ctx) => {
      const given = readBody(ctx, endSchema, PLACES);
      const { reason = '', by } = given;
      const [terms, body] = [only(given, MEANT), only(given, ['reason'])];
      await perform(ctx, acts, 'end', given, { body, by, reason, asked: { ...terms, ...body } }, (wanted) =>
        acts.previewEnd(wanted, terms),
      );
    },
  },
  ...actReads(dependencies, {
    path: PATH,
    roles: ['operator', 'auditor'],
    stored: acts.stored,
    show: (row, seen, words, isWhole) => shownAct(acts, row, seen, words, isWhole),
  }),
];

/** The machines of a preview: by labels, by names, or both. */
function wantedIn(ctx: Context): WantedMachines & { readonly query: string } {
  const { labels, machines: named, query } = readNamed(ctx.querystring);
  return { labels, named, bounds: actorIn(ctx).machines, query };
}

/** @throws RecorderError `invalid_request` where nothing says which machines are meant */
function requirePlaces({ labels, named = [] }: Pick<WantedMachines, 'labels' | 'named'>, act?: unknown): void {
  if (Object.keys(labels).length === 0 && named.length === 0 && act === undefined)
    throw new RecorderError('invalid_request', PLACES);
}

type Given = z.infer<z.ZodMiniObject<ReturnType<typeof onMachines>>>;

interface Asked {
  /** What each command says. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly by: string | undefined;
  readonly reason: string;
  /** What the request asks for. */
  readonly asked: Readonly<Record<string, unknown>>;
}

/** Previews an act with `dry_run`; else does it, once under one key, and answers with how far it is. */
async function perform(
  ctx: Context,
  acts: SilenceActs,
  kind: SilenceKind,
  { confirm, machines_digest, dry_run, idempotency_key, expires_in = USUAL_EXPIRY, ...given }: Given,
  { body, by: person, reason, asked }: Asked,
  preview: (wanted: WantedMachines) => Promise<readonly SilenceCandidate[]>,
): Promise<void> {
  const labels = (given.labels ?? {}) as Labels;
  const named = given.machines ?? [];
  requirePlaces({ labels, named }, asked.act);
  const { name: principal, machines: bounds } = actorIn(ctx);
  const key = keyOf(ctx, idempotency_key);
  const act = acts.nameOf(principal, key);
  const known = key === undefined || dry_run === true ? undefined : await acts.stored.find(act);
  const detail = { act, kind, labels, named, reason, principal, good_for: expires_in * SECOND, body, asked };
  if (known === undefined) {
    const wanted = { labels, named, bounds };
    const found = await preview(wanted);
    if (dry_run === true) return respondJson(ctx, 200, JSON.stringify(shownPreview(wanted, found)));
    const chosen = found.filter(({ possible }) => possible);
    requireCount(confirm, chosen.length);
    requireSeen(machines_digest, digestOf(found), chosen.length, OTHERS[kind]);
    const { by } = byIn(ctx, person === undefined ? {} : { by: person });
    const targets = chosen.flatMap(({ machine, silences }) =>
      kind === 'add' ? [{ machine }] : silences.map((silence) => ({ machine, silence })),
    );
    await acts.begin({ ...detail, by, role: admittedIn(ctx).role, targets });
  }
  const row = known ?? (await acts.stored.find(act));
  if (row === undefined) throw new RecorderError('internal', 'an act that was stored is not there');
  // Also what was stored just now may be another one's, with the same key.
  const stored = only(row.detail, Object.keys(detail));
  if (formOf(stored) !== formOf(JSON.parse(storable(detail)) as object))
    throw new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another act');
  if (known !== undefined) ctx.set('Idempotent-Replayed', 'true');
  ctx.set('Location', `${PATH}/${act}`);
  respondJson(ctx, 202, JSON.stringify(await shownAct(acts, row, undefined, true, true)));
}

const formOf = (value: object): string => canonicalForm(value as unknown as JsonValue);

const shownPreview = ({ labels, named = [] }: WantedMachines, machines: readonly SilenceCandidate[]): object => ({
  labels,
  named,
  count: machines.filter(({ possible }) => possible).length,
  machines_digest: digestOf(machines),
  machines,
});

/** @returns undefined when its reader may see none of its machines */
async function shownAct(
  acts: SilenceActs,
  { id: act, at, over, detail }: SilenceActRow,
  seen: readonly string[] | undefined,
  words: boolean,
  isWhole: boolean,
): Promise<object | undefined> {
  const among = seen === undefined ? undefined : new Set(seen);
  const targets = detail.targets.filter(({ machine }) => among?.has(machine) ?? true);
  if (targets.length === 0) return undefined;
  const own = { over, detail: { ...detail, targets } };
  const progress = isWhole ? await acts.progressOf(own) : [];
  const counts = isWhole ? countsIn(progress) : await acts.countsOf(own, seen);
  return {
    act,
    kind: detail.kind,
    labels: detail.labels,
    named: detail.named.filter((name) => among?.has(name) ?? true),
    // What people and machines have written, as of commands.
    reason: words ? detail.reason : null,
    by: detail.by,
    at: at.toISOString(),
    count: Object.values(counts).reduce((sum, count) => sum + count, 0),
    ...counts,
    ...(isWhole && { machines: words ? progress : progress.map((one) => ({ ...one, reason: null })) }),
  };
}
