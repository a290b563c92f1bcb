import type { Context } from 'koa';
import type * as z from 'zod/mini';
import type { RecoveryStep, Role } from '../../../machines/vocabulary.ts';
import type { Preview } from '../../containment/release-preview.ts';
import type { BulkPreview } from '../../domain/bulk-command.ts';
import type { ListQuery, UsualPlace } from '../../query/list-query.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { admittedIn } from '../middleware/authentication.ts';
import { turnsOf } from '../server/peer.ts';
import { BULK_ACTS } from './bulk-acts.ts';
import { writeBulkCursor } from './bulk-cursor.ts';
import { sayUnsearched } from './reads.ts';
import type { bulkSchema } from './requests.ts';

/** How many incidents a preview asks what would become of them. */
const MOST_JUDGED = 1000;

/** What a bulk command is about: what the filters select, from a place on. */
export type Selection = ListQuery & { readonly after: UsualPlace };

/** What the filter of a bulk command selects, and what would become of it. Nothing changes. */
export async function preview(
  { incidents, preview: releases }: Pick<ApiDependencies, 'incidents' | 'preview'>,
  ctx: Context,
  body: z.infer<typeof bulkSchema>,
  selection: Selection,
  digest: string,
): Promise<BulkPreview> {
  const { after, ...filter } = selection;
  const turn = restful(ctx);
  const query = { filter, by: ['class', 'severity', 'state'], limit: 1000, skip: 0, isBare: true } as const;
  const place = { head: after.head, ...(after.log !== undefined && { log: after.log }) };
  const counted = await incidents.groups({ ...query, ...place }, turn);
  sayUnsearched(ctx, counted.unsearched);
  const { roles } = admittedIn(ctx).principal;
  const judged = {
    allowed: 0,
    unchanged: 0,
    refused: {} as Record<string, number>,
    needs: [] as readonly Role[],
    lacking: 0,
  };
  const { foresee } = BULK_ACTS[body.command];
  const moving: string[] = [];
  const refusing: string[] = [];
  let count = 0;
  for (const { outlines } of incidents.walk(selection)) {
    for (const outline of outlines) {
      const { id, state } = outline;
      const foreseen = foresee(incidents, outline, body);
      if (foreseen === undefined) continue;
      count += 1;
      const lacks =
        foreseen.kind !== 'unchanged' &&
        foreseen.needs !== undefined &&
        !foreseen.needs.some((role) => roles.includes(role));
      if (lacks) [judged.needs, judged.lacking] = [foreseen.needs, judged.lacking + 1];
      if (foreseen.kind === 'moved' && !lacks) {
        judged.allowed += 1;
        moving.push(id);
      } else if (foreseen.kind === 'unchanged') judged.unchanged += 1;
      else {
        judged.refused[state] = (judged.refused[state] ?? 0) + 1;
        if (state !== 'resolved') refusing.push(id);
      }
    }
    if (count >= MOST_JUDGED) break;
    await turn();
  }
  const sums = (member: 'class' | 'severity' | 'state'): Record<string, number> => {
    const totals: Record<string, number> = {};
    for (const group of counted.groups) {
      const name = String(group[member]);
      totals[name] = (totals[name] ?? 0) + group.count;
    }
    return totals;
  };
  const releasing =
    body.command === 'resolve' && count >= counted.incidents
      ? await releases.of(moving, 'resolve', undefined, turn)
      : undefined;
  const missing =
    body.command === 'resolve' && refusing.length > 0
      ? stepsMissing(await releases.of(refusing, 'resolve', undefined, turn))
      : undefined;
  return {
    matched: counted.incidents,
    complete: counted.isComplete,
    classes: sums('class'),
    severities: sums('severity'),
    states: sums('state'),
    allowed: judged.allowed,
    unchanged: judged.unchanged,
    refused: judged.refused,
    ...(judged.lacking > 0 && { needs: { roles: judged.needs, count: judged.lacking } }),
    ...(count < counted.incidents && { judged: count }),
    ...(releasing !== undefined && { actions: releasing.actions }),
    ...(missing !== undefined && { missing }),
    snapshot: writeBulkCursor(after, digest),
  };
}

/** How many incidents need each step of their recovery before they can be resolved; undefined when none does. */
function stepsMissing({ incidents }: Preview): BulkPreview['missing'] {
  const counts: Partial<Record<RecoveryStep, number>> = {};
  for (const step of incidents.flatMap(({ missing = [] }) => missing)) counts[step] = (counts[step] ?? 0) + 1;
  return Object.keys(counts).length === 0 ? undefined : counts;
}

/** Awaited between parts of the work: it lets others have their turn, and throws when the client has left. */
export function restful({ req }: Context): () => Promise<void> {
  const turn = turnsOf(req);
  return async () => {
    await turn();
    await new Promise(setImmediate);
  };
}
