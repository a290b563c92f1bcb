import * as z from 'zod/mini';
import { filled, isCount, once, signature, textOf } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const FINDING_REQUIRED = 'finding required: one of audit.findings in /health';

const isPositive = (text: string): boolean => isCount(text) && Number(text) > 0;

/** The parameters of a read of the log. */
export const logSchema = whenUsed(() =>
  z.strictObject({
    from: once('from', isPositive, 'from must be the seq of an entry, a whole number from 1 on'),
    limit: once('limit', isPositive, 'limit must be how many entries, a whole number from 1 on'),
    follow: once('follow', (text) => ['true', 'false'].includes(text), 'follow must be true or false'),
    archived: once('archived', (text) => ['true', 'false'].includes(text), 'archived must be true or false'),
  }),
);

export const ANCHOR_REQUIRED = 'anchor required: the signed note';
/** Far longer than any anchor, in characters. */
const LONGEST_ANCHOR = 16 * 1024;

/** The body that hands over an anchor. */
export const anchorSchema = whenUsed(() => z.strictObject({ anchor: textOf('anchor', LONGEST_ANCHOR) }));

/** The body of the command that acknowledges a finding about the log. */
export const acknowledgeDamageSchema = whenUsed(() =>
  z.strictObject({ finding: filled(FINDING_REQUIRED), ...signature() }),
);
