/** Reads of acts on many machines of one kind: the list, and one act with what came of it on each machine. */
import type { Context } from 'koa';
import * as z from 'zod/mini';
import type { Role } from '../../../machines/vocabulary.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import { parseQuery } from '../../api/request/query.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { RecorderError } from '../../errors.ts';
import type { ActStore, StoredAct } from '../acts.ts';
import type { FleetDependencies } from './dependencies.ts';
import { placeTime } from './fleet-incidents.ts';
import { type Page, paged, pageOf, paging } from './paging.ts';
import { readingIn } from './reading.ts';

const actsSchema = z.strictObject(paging());

export interface ShownActs<Detail extends { readonly act: string; readonly by: string }> {
  readonly path: string;
  /** Who may read this besides readers. */
  readonly roles: readonly Role[];
  readonly stored: ActStore<Detail>;
  /**
   * An act as the API shows it.
   * @param seen the machines that its reader sees; undefined for all
   * @param words whether what people and machines have written is shown
   * @param isWhole with each machine
   * @returns undefined when its reader may see none of its machines
   */
  readonly show: (
    row: StoredAct<Detail>,
    seen: readonly string[] | undefined,
    words: boolean,
    isWhole: boolean,
  ) => Promise<object | undefined>;
}

/** A page of acts of one kind, the newest first; sets the link to the next. */
export async function pageOfActs<Detail extends { readonly act: string; readonly by: string }>(
  ctx: Context,
  page: Page,
  stored: ActStore<Detail>,
): Promise<readonly StoredAct<Detail>[]> {
  const [at, id] = page.after ?? [];
  const before = at === undefined ? undefined : { at: placeTime(at), id: id! };
  const { rows, fitting } = await stored.list(page.limit + 1, before);
  return paged(ctx, { ...page, limit: Math.min(page.limit, fitting) }, rows, (row) => [row.at.toISOString(), row.id]);
}

export const actReads = <Detail extends { readonly act: string; readonly by: string }>(
  dependencies: FleetDependencies,
  { path, roles, stored, show }: ShownActs<Detail>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: `${path}/acts`,
    handle: async (ctx) => {
      const reading = await readingIn(dependencies, ctx, roles);
      const page = pageOf(validate(actsSchema, parseQuery(reading.query), 'parameter'), 2);
      const rows = await pageOfActs(ctx, page, stored);
      const shown: object[] = [];
      for (const row of rows) {
        const one = await show(row, reading.machines, reading.reader.words, false);
        if (one !== undefined) shown.push(one);
      }
      respondJson(ctx, 200, JSON.stringify(shown));
    },
  },
  {
    method: 'GET',
    path: `${path}/:act`,
    handle: async (ctx) => {
      const reading = await readingIn(dependencies, ctx, roles);
      validate(nothingSchema, parseQuery(reading.query), 'parameter');
      const row = await stored.find(String(ctx.params.act));
      const shown = row && (await show(row, reading.machines, reading.reader.words, true));
      if (shown === undefined) throw new RecorderError('not_found', 'act not found');
      respondJson(ctx, 200, JSON.stringify(shown));
    },
  },
];
