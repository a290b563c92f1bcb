import * as z from 'zod/mini';
import { MOST_INCIDENTS } from '../../bundle/make-bundle.ts';
import { whenUsed } from '../../when-used.ts';
import { filled, ID_REQUIRED } from '../request/fields.ts';

/** Which incidents. */
export const idsOfBundle = () =>
  z.array(filled(ID_REQUIRED), ID_REQUIRED).check(
    z.minLength(1, ID_REQUIRED),
    z.maxLength(MOST_INCIDENTS, `id may be given at most ${MOST_INCIDENTS} times`),
    z.refine((ids) => new Set(ids).size === ids.length, 'each id may be given only once'),
  );

export const bundleSchema = whenUsed(() => z.strictObject({ id: idsOfBundle() }));
